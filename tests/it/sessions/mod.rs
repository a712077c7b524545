//! How sessions end, and races with their end.

mod changed_passwords;
mod ending;
mod expired_proofs;
mod one_object;
mod proofs;
mod races;
mod revocation;
mod writes;
