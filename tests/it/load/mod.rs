//! Behavior with many users, floods of requests, and over hours.

mod bounds;
mod flood;
mod identities;
mod life;
mod mints;
mod organizations;
