//! Tests that the stand-in behaves like Clerk.

#![allow(clippy::unwrap_used, reason = "test code, also outside functions marked as tests")]

mod addresses;
mod api_keys;
mod backend;
mod backend_changes;
mod backend_door;
mod backend_sessions;
mod caller;
mod door;
mod faults;
mod inbox;
mod issuer;
mod linked;
mod lists;
mod log;
mod members;
mod modules;
#[cfg(feature = "program")]
mod program;
mod races;
mod scale;
mod sessions;
mod sign_in;
mod socket;
mod tickets;
mod tokens;
mod webhook_events;
mod webhook_socket;
mod webhooks;
