//! How sessions end, and what meets on the way.

mod ending;
mod races;
mod revocation;
mod writes;
