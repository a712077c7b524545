//! Responses as JSON, in the shape of Clerk's OpenAPI description.

mod backend;
mod client;
pub(crate) mod event;
mod linked;
mod organization;
pub(crate) mod page;
mod sign_in;
pub(crate) mod user;

pub(crate) use crate::views::page::Page;
pub(crate) use crate::views::user::identifier;
