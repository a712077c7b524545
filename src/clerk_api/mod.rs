//! What Clerk's two APIs have in common: how a call is sent and judged, and what its errors mean.

mod addresses;
mod api_error;
pub(crate) mod bapi;
mod caller;
mod codes;
pub(crate) mod fapi;
mod http;
mod time;

pub(crate) use self::addresses::{EmailAddress, PhoneNumber, Verification, verified_emails, verified_phones};
pub(crate) use self::api_error::{ApiError, CredentialRefusal, ErrorClass};
pub(crate) use self::caller::{Body, Call, Caller, Minted, Raw, Timing, Token, header, parse};
pub(crate) use self::codes::unfinished;
pub(crate) use self::http::HttpTransport;
pub(crate) use self::time::TimeLeft;
