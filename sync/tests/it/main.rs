//! Behaviour of the mirror, on both databases.

mod equal;
mod program;
mod random;
mod reconcile;
mod site;
mod support;
