//! The behavior of the tower layer and of the HTTP client.

mod charsets;
mod layer;
mod readiness;
mod socket;
mod stacks;
