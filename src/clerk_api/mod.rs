//! The common part of Clerk's two APIs: sending calls, classifying answers, and the error codes.

mod addresses;
mod api_error;
pub(crate) mod bapi;
mod body;
mod caller;
mod codes;
pub(crate) mod fapi;
mod http;
mod ids;
mod time;

pub(crate) use self::addresses::{EmailAddress, PhoneNumber, Verification, verified_emails, verified_phones};
pub(crate) use self::api_error::{ApiError, CredentialRefusal, ErrorClass};
pub(crate) use self::body::Body;
pub(crate) use self::caller::{Call, Caller, Minted, Raw, Timing, Token, header, parse};
#[cfg(feature = "backend")]
pub(crate) use self::caller::{OVERSIZED, UNREADABLE, unreadable};
pub(crate) use self::codes::unfinished;
pub(crate) use self::http::HttpTransport;
pub(crate) use self::ids::is_path_segment;
pub(crate) use self::time::TimeLeft;
