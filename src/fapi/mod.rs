//! Clerk's Frontend API: what we ask, what it answers, what the answers mean.

mod answer;
mod client;
mod client_token;
mod fault;
mod http;
mod send;
mod wire;

pub(crate) use self::answer::{Environment, Membership, Minted, SignedIn};
pub(crate) use self::client::{Fapi, MintFor};
pub(crate) use self::client_token::ClientSlot;
#[cfg(test)]
pub(crate) use self::client_token::ClientToken;
pub(crate) use self::fault::{CallResult, Fault, Meaning, Operation, Refusal};
pub(crate) use self::http::HttpTransport;
