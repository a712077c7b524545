//! Tests of the layer and its engine against the stand-in, in one binary with a folder per subject.
//!
//! Tests that set a process-wide subscriber are binaries of their own, next to this folder.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod crowd;
mod stores;

mod api_keys;
mod arrows;
mod auto_traits;
mod backend;
mod bearer;
mod federation;
mod foreign_types;
mod guards;
mod http;
mod lists;
mod load;
mod observe;
mod pages;
mod programs;
#[cfg(unix)]
mod replicas;
mod restarts;
mod rules;
mod sessions;
mod sign_in;
mod sizes;
mod template;
mod testing;
mod token_endpoint;
mod tokens;
mod webhook;
