//! Behaviour of the mirror, on both databases.

mod support;
