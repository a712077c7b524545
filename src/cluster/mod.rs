//! The state that the replicas of a program share over Redis: the changes that concern all of them (rules H4 to H6).
//!
//! A change takes effect where it is made, at once. It is also kept for the shared log, from which the other replicas read it.
//! Each replica keeps all entries for as long as they can matter, its own and those of others, so that the log can be
//! lost: any replica that finds an entry missing sends it again, and each applies an entry once.

#[cfg(feature = "redis")]
mod alone;
#[cfg(feature = "redis")]
mod calls;
mod change;
#[cfg(feature = "redis")]
mod dialer;
#[cfg(feature = "redis")]
mod entry;
#[cfg(feature = "redis")]
mod gate;
#[cfg(feature = "redis")]
mod limits;
#[cfg(feature = "redis")]
mod log;
#[cfg(feature = "redis")]
mod seal;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod stats;
#[cfg(feature = "redis")]
mod supervisor;

pub(crate) use self::change::Change;
#[cfg(feature = "redis")]
use self::shared::Shared;
#[cfg(feature = "redis")]
pub(crate) use self::shared::{Cluster, Setup};
#[cfg(feature = "redis")]
pub use self::stats::ReplicaStats;
