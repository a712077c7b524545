//! Clerk's Frontend API: what we ask, and what it answers.

mod answer;
mod client;
mod sign_in;
mod wire;

pub(crate) use self::answer::{Environment, SecondFactor, SignedIn, Unfinished};
pub(crate) use self::client::{Fapi, MintFor};
pub(crate) use self::sign_in::SignInWith;
