//! The behavior of the tower layer and of the HTTP client.

mod layer;
mod readiness;
mod rendering;
mod socket;
mod stacks;
