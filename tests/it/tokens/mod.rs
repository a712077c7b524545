//! The tokens that are minted for a session.

mod keep_warm;
mod keys;
mod lives;
mod organizations;
mod renewal;
mod shared_sessions;
mod slugs;
mod templates;
