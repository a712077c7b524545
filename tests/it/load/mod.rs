//! Many users, many strangers, long days.

mod bounds;
mod flood;
mod identities;
mod life;
mod mints;
mod organizations;
