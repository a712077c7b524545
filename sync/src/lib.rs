//! Clerk's users, organizations and memberships in a database of one's own.

mod database;
mod error;
mod kind;
mod metrics;
mod mirror;
mod record;
#[cfg(test)]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[cfg(test)]
mod tests;
mod time;

pub use error::{MirrorError, MirrorErrorKind};
pub use kind::{Kind, UnknownKind};
pub use mirror::{
    Change, ChangeCause, ChangeKind, Count, Mirror, MirrorBuilder, Quarantined, Replay, Status,
};
