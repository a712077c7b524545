//! How the layer and its engine behave, against the stand-in: one binary, a folder per subject.
//!
//! Tests that need a subscriber of the whole process are binaries of their own, beside this folder.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod crowd;
mod stores;

mod arrows;
mod backend;
mod foreign_types;
mod http;
mod load;
mod observe;
mod rules;
mod sessions;
mod sign_in;
mod testing;
mod tokens;
