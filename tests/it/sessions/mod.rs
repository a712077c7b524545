//! How sessions end, and what meets on the way.

mod changed_passwords;
mod ending;
mod expired_proofs;
mod one_object;
mod proofs;
mod races;
mod revocation;
mod writes;
