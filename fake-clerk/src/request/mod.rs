//! Reads requests, and checks them before they reach an endpoint.

pub(crate) mod call;
mod checks;
pub(crate) mod version;

pub(crate) use crate::request::call::{Call, Hosts};
