//! What can be seen from outside.

mod stats;
