//! What is kept of signed-in users: their sessions, the tokens of these, and what was revoked.

mod leavers;
mod live;
mod memory;
mod revocations;
mod tokens;
mod turnstile;
mod users;

pub(crate) use self::leavers::{Leavers, Parting};
pub(crate) use self::live::{Active, LiveSession, Parts, Proof, Refused};
pub(crate) use self::memory::Sessions;
pub(crate) use self::revocations::{Generation, Revocations, Target};
pub(crate) use self::tokens::{Freshness, HeldToken, TokenKey, Tokens};
pub(crate) use self::users::{User, Users};
