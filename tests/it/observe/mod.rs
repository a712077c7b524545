//! What can be seen from outside.

mod preflight;
mod stats;
