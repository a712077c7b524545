//! Requests: reading them, and the checks that come before any endpoint.

pub(crate) mod call;
mod checks;
pub(crate) mod version;

pub(crate) use crate::request::call::{Call, Hosts};
