//! How an instance is set up.

pub(crate) mod backend;
mod backend_builder;
pub(crate) mod builder;

pub use crate::settings::backend::GoneSession;
pub use crate::settings::builder::{FakeClerkBuilder, TokenVersion};
