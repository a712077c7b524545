//! Signed tokens: keys, signatures, and flaws for tests.

pub(crate) mod fill;
pub(crate) mod flaw;
pub(crate) mod key_ring;
pub(crate) mod keys;
pub(crate) mod unsigned;

pub use crate::tokens::flaw::TokenFlaw;
pub(crate) use crate::tokens::key_ring::KeyRing;
pub(crate) use crate::tokens::unsigned::Unsigned;
