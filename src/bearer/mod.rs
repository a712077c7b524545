//! Session tokens that clients present as `Bearer`: which of them a layer accepts, the verified ones, and what
//! revocations do to them (rules B1-B5).

mod cutoffs;
mod tokens;
mod verified;

pub(crate) use self::cutoffs::{CutoffTarget, Cutoffs, LEEWAY, slots};
pub use self::tokens::BearerTokens;
pub(crate) use self::tokens::Unacceptable;
pub(crate) use self::verified::{TokenClass, VerifiedBearer, VerifiedTokens};
