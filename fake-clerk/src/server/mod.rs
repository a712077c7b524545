//! Instances and identity providers on a socket.

mod clerk;
mod issuer;
mod socket;

pub use crate::server::clerk::FakeClerkServer;
pub use crate::server::issuer::FakeIssuerServer;
