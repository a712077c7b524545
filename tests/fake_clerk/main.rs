//! `FakeClerk` behaves as Clerk does.

#![allow(clippy::unwrap_used, reason = "test code, also outside functions marked as tests")]

mod caller;
mod door;
mod faults;
mod races;
mod sessions;
mod sign_in;
mod socket;
mod tokens;
