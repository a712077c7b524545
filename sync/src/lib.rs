//! Clerk's users, organizations and memberships in a database of one's own.

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("tower-clerk-sync needs a database: enable the feature `sqlite` or `postgres`");

mod backfill;
mod database;
mod error;
mod kind;
mod lease;
mod metrics;
mod mirror;
mod progress;
mod raw;
mod reconcile;
mod record;
mod run_status;
#[cfg(test)]
#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, reason = "the tests in `tests/` use the rest")]
mod support;
mod tasks;
#[cfg(test)]
mod tests;
mod time;
mod walk;

pub use backfill::{Backfill, BackfillCounts, BackfillReport};
pub use error::{MirrorError, MirrorErrorKind};
pub use kind::{Kind, UnknownKind};
pub use mirror::{
    Change, ChangeCause, ChangeKind, Count, Mirror, MirrorBuilder, Quarantined, Replay, Status,
};
pub use progress::Progress;
pub use reconcile::{KindReport, Reconcile, ReconcileMode, ReconcileOutcome, ReconcileReport};
pub use run_status::{KindStatus, LastRun, RunningStatus, SyncStatus};
