//! A Clerk instance in memory.

pub use crate::clock::Clock;
