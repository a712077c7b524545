//! The claims of tokens.

pub(crate) mod client;
pub(crate) mod organization;
pub(crate) mod session;
pub(crate) mod template;
pub(crate) mod ticket;

pub(crate) use crate::claims::client::{client_token, read_client_token};
pub(crate) use crate::claims::session::{Wanted, factor_verification_age, session_token, template_token};
pub(crate) use crate::claims::ticket::read_ticket;
