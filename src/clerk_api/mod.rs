//! What Clerk's two APIs have in common: how a call is sent and judged, and what its errors mean.

mod addresses;
pub(crate) mod bapi;
mod caller;
mod codes;
pub(crate) mod fapi;
mod fault;
mod http;
mod time;

pub(crate) use self::addresses::{EmailAddress, PhoneNumber, Verification, verified_emails, verified_phones};
pub(crate) use self::caller::{Body, Call, Caller, Minted, Raw, Timing, Token, header, parse};
pub(crate) use self::codes::unfinished;
pub(crate) use self::fault::{Fault, Meaning, Refusal};
pub(crate) use self::http::HttpTransport;
pub(crate) use self::time::TimeLeft;
