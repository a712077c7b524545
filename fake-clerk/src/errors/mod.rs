//! Clerk's refusals.

pub(crate) mod api_error;
mod backend;
mod request;
mod session;
mod sign_in;

pub(crate) use crate::errors::api_error::ApiError;
