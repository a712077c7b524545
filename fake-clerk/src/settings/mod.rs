//! The settings of an instance.

pub(crate) mod backend;
mod backend_builder;
pub(crate) mod builder;
mod limits_builder;
mod webhook_builder;

pub use crate::settings::backend::{GoneSession, InvalidApiKey};
pub use crate::settings::builder::{FakeClerkBuilder, TokenVersion};
