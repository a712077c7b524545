//! How sessions end, and races with their end.

mod changed_passwords;
mod ended_at_clerk;
mod ending;
mod expired_proofs;
mod hot;
mod memberships;
mod one_object;
mod proofs;
mod races;
mod revocation;
mod writes;
