//! The behavior of the tower layer and of the HTTP client.

mod axum;
mod browsers;
mod charsets;
mod identity;
mod layer;
mod readiness;
mod readme;
mod rendering;
mod selectors;
mod socket;
mod stacks;
