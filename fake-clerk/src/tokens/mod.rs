//! Signed tokens: keys, signatures, and the flaws that a test may want in them.

pub(crate) mod fill;
pub(crate) mod flaw;
pub(crate) mod key_ring;
pub(crate) mod keys;
pub(crate) mod unsigned;

pub use crate::tokens::flaw::TokenFlaw;
pub(crate) use crate::tokens::key_ring::KeyRing;
pub(crate) use crate::tokens::unsigned::Unsigned;
