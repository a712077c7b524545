//! The layer on a tonic server, asked by a tonic client and by others, on a real socket.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../tonic.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod example;

mod common;
mod others;
mod statuses;
