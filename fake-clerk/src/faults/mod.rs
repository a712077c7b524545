//! Scripted faults.

mod connection;
pub(crate) mod fault;
pub(crate) mod script;
mod spoil;

pub use crate::faults::connection::ConnectionFault;
pub(crate) use crate::faults::fault::json_response;
pub use crate::faults::fault::{Fault, RetryAfter};
pub(crate) use crate::faults::script::Script;
