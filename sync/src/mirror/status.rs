//! How the mirror is (rule Y7).

use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, Row as _};

use super::Mirror;
use crate::error::MirrorError;
use crate::kind::Kind;
use crate::time::time;

/// The state of a mirror. Comes from [`Mirror::status`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The id of the Clerk instance, if it is known yet.
    pub instance_id: Option<String>,
    /// The objects, by kind.
    pub counts: Vec<Count>,
    /// When the event occurred that was applied last; `None` if there was none.
    pub last_event_at: Option<SystemTime>,
    /// How long ago that was. An instance in use has events all day, so a long silence means that they don't arrive.
    pub last_event_age: Option<Duration>,
    /// Events and list entries that can't be applied.
    pub quarantined: u64,
    /// Changes that have no position in the feed yet, deletions that are held back included.
    pub pending_changes: u64,
    /// The last position that the change feed has given.
    pub last_position: i64,
}

/// The number of objects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// The kind.
    pub kind: Kind,
    /// Rows that the view shows.
    pub live: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// The part of the status that is cheap to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) last_event_at: Option<i64>,
    pub(crate) quarantined: u64,
    pub(crate) pending_changes: u64,
    pub(crate) last_position: i64,
}

impl Mirror {
    /// The state of the mirror. It counts all rows, which takes a while for a million.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn status(&self) -> Result<Status, MirrorError> {
        let vitals = self.vitals().await?;
        let mut counts = Vec::new();
        for kind in Kind::ALL {
            counts.push(self.count(kind).await?);
        }
        let age = |at: i64| Duration::from_millis(u64::try_from(self.now() - at).unwrap_or_default());
        Ok(Status {
            instance_id: self.instance_id().map(str::to_owned),
            counts,
            last_event_at: vitals.last_event_at.map(time),
            last_event_age: vitals.last_event_at.map(age),
            quarantined: vitals.quarantined,
            pending_changes: vitals.pending_changes,
            last_position: vitals.last_position,
        })
    }

    /// Asks the database for a row, as a route for the health of a program does: [`status`](Self::status) counts all rows.
    ///
    /// # Errors
    ///
    /// Returns an error if the database doesn't answer.
    ///
    /// ```no_run
    /// # async fn example(mirror: tower_clerk_sync::Mirror) -> &'static str {
    /// if mirror.ping().await.is_ok() { "ready" } else { "the database doesn't answer" }
    /// # }
    /// ```
    pub async fn ping(&self) -> Result<(), MirrorError> {
        let one = sqlx::query("SELECT instance_id FROM clerk_mirror_instances LIMIT 1");
        one.fetch_optional(self.pool()).await?;
        Ok(())
    }

    async fn count(&self, kind: Kind) -> Result<Count, MirrorError> {
        let (view, table) = (kind.view(), kind.table());
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM {view} WHERE instance_id = $1), \
             (SELECT COUNT(*) FROM {table} WHERE instance_id = $1 AND deleted_at IS NOT NULL)"
        );
        let instance = self.instance_id().unwrap_or_default();
        let row = sqlx::query(AssertSqlSafe(sql)).bind(instance).fetch_one(self.pool()).await?;
        let number = |at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
        Ok(Count { kind, live: number(0)?, deleted: number(1)? })
    }

    pub(crate) async fn vitals(&self) -> Result<Vitals, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(Vitals::default()) };
        let row = sqlx::query(
            "SELECT (SELECT event_at FROM clerk_mirror_deliveries WHERE instance_id = $1 ORDER BY noted_at DESC LIMIT 1), \
             (SELECT COUNT(*) FROM clerk_mirror_quarantine WHERE instance_id = $1), \
             (SELECT COUNT(*) FROM clerk_changes WHERE instance_id = $1 AND position IS NULL), \
             (SELECT last_position FROM clerk_mirror_instances WHERE instance_id = $1)",
        )
        .bind(instance)
        .fetch_one(self.pool())
        .await?;
        let number = |at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
        Ok(Vitals {
            last_event_at: row.try_get(0)?,
            quarantined: number(1)?,
            pending_changes: number(2)?,
            last_position: row.try_get::<Option<i64>, _>(3)?.unwrap_or_default(),
        })
    }
}
