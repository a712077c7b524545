//! The change feed (a table read by cursor).
//!
//! Transactions end in another order than they begin, and PostgreSQL's sequences are outside of them: an entry that had its
//! number from one could appear behind a reader's cursor. So an entry is written without a position, and gets it in a later
//! transaction, which holds a lock from before it looks until it commits. All entries that it sees are committed, and those that
//! it doesn't see get a higher position. A deletion that is held back is an entry that isn't due.
//!
//! The alternative is a lock that each writer takes for its number and keeps until it has committed. Then one event can be
//! committed at a time, at the pace of the database's disk.

use std::str::FromStr;
use std::time::SystemTime;

use sqlx::{AssertSqlSafe, Row as _};

use super::Mirror;
use super::write::Write;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::time::time;

/// Entries of one statement, or of one transaction that numbers them.
const ENTRIES: usize = 1000;

/// An entry of the change feed: that an object has changed, and not how. The views hold its state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The position, from 1. The next call of [`Mirror::changes`] takes it as its cursor.
    pub position: i64,
    /// The kind of the object.
    pub kind: Kind,
    /// The id of the object.
    pub object_id: String,
    /// The change.
    pub change: ChangeKind,
    /// The cause of the change.
    pub cause: ChangeCause,
    /// When the mirror applied the change.
    pub at: SystemTime,
}

/// A change of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The object is new to the mirror, or is back after a deletion that was told.
    Created,
    /// A mirrored column has changed.
    Updated,
    /// The object is deleted. Memberships of a user or an organization that is deleted have no entries of their own.
    Deleted,
}

/// The cause of a change of the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeCause {
    /// A webhook.
    Event,
    /// A list, as the backfill and the reconciliation read them. The backfill tells users who signed up years ago as created.
    List,
    /// A read of this object by its id.
    Read,
}

/// A change that followers are to be told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) change: ChangeKind,
}

impl ChangeKind {
    /// `created`, `updated` or `deleted`, as in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl ChangeCause {
    /// `event`, `list` or `read`, as in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::List => "list",
            Self::Read => "read",
        }
    }
}

impl Mirror {
    /// The changes behind a position, oldest first. Begin with 0, and go on with the position of the last one.
    ///
    /// No change ever appears behind a position that was returned before, whatever the order in which transactions end.
    /// Positions may have gaps. At most `limit` changes are returned, and none means that there are none yet.
    ///
    /// A program in another language reads the table `clerk_changes` instead: the entries of its instance whose `position` is
    /// greater than its cursor, in the order of `position`.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    ///
    /// ```no_run
    /// # async fn example(mirror: tower_clerk_sync::Mirror) -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut cursor = 0;
    /// for change in mirror.changes(cursor, 100).await? {
    ///     println!("{} {}: {}", change.kind, change.object_id, change.change.name());
    ///     // Stored together with the change's effect, in one transaction.
    ///     cursor = change.position;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(Vec::new()) };
        self.release_changes().await?;
        let rows = sqlx::query(
            "SELECT position, kind, object_id, change, cause, at FROM clerk_changes \
             WHERE instance_id = $1 AND position > $2 ORDER BY position LIMIT $3",
        )
        .bind(instance)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(change_of).collect()
    }

    /// Forgets the changes up to a position, which all followers have read.
    ///
    /// The mirror itself forgets none, since it doesn't know who reads them.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn forget_changes(&self, up_to: i64) -> Result<u64, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(0) };
        let mut write = self.begin().await?;
        let forgotten = sqlx::query("DELETE FROM clerk_changes WHERE instance_id = $1 AND position <= $2")
            .bind(instance)
            .bind(up_to)
            .execute(write.connection())
            .await?;
        write.commit().await?;
        Ok(forgotten.rows_affected())
    }

    /// Adds changes to the feed, within the transaction that makes them.
    pub(crate) async fn tell(
        &self,
        write: &mut Write,
        told: &[Told],
        cause: ChangeCause,
    ) -> Result<(), MirrorError> {
        let (instance, now) = (self.instance()?, self.now());
        for told in told.chunks(ENTRIES) {
            let row = |at: usize| {
                let [kind, id, change, due] = [0, 1, 2, 3].map(|column| 4 + at * 4 + column);
                format!("($1, ${kind}, ${id}, ${change}, $2, $3, ${due})")
            };
            let rows: Vec<String> = (0..told.len()).map(row).collect();
            let sql = format!(
                "INSERT INTO clerk_changes (instance_id, kind, object_id, change, cause, at, due_at) VALUES {}",
                rows.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(instance).bind(cause.name()).bind(now);
            for Told { kind, id, change } in told {
                // Due at once means at any clock: that of another process may be behind.
                let due = match (*change, self.inner.deletion_holdback) {
                    (ChangeKind::Deleted, holdback) if holdback > 0 => now.saturating_add(holdback),
                    _ => 0,
                };
                query = query.bind(kind.name()).bind(id).bind(change.name()).bind(due);
            }
            query.execute(write.connection()).await?;
        }
        Ok(())
    }

    /// Takes a deletion back that isn't told yet. Returns whether there was one.
    pub(super) async fn untell_deletion(
        &self,
        write: &mut Write,
        kind: Kind,
        id: &str,
    ) -> Result<bool, MirrorError> {
        // A transaction that gives it a position at this moment is waited for, and the entry then counts as told.
        let taken = sqlx::query(
            "DELETE FROM clerk_changes WHERE instance_id = $1 AND position IS NULL AND kind = $2 AND object_id = $3 \
             AND change = 'deleted'",
        )
        .bind(self.instance()?)
        .bind(kind.name())
        .bind(id)
        .execute(write.connection())
        .await?;
        Ok(taken.rows_affected() > 0)
    }

    /// Gives positions to the changes that are due. Returns how many.
    ///
    /// The housekeeper calls it after each commit. A process that ends before leaves it to the next one.
    pub(crate) async fn release_changes(&self) -> Result<u64, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(0) };
        let mut released = 0;
        loop {
            // Most calls find nothing, and need no lock.
            let due: Option<i64> = sqlx::query_scalar(
                "SELECT entry FROM clerk_changes WHERE instance_id = $1 AND position IS NULL AND due_at <= $2 LIMIT 1",
            )
            .bind(instance)
            .bind(self.now())
            .fetch_optional(self.pool())
            .await?;
            if due.is_none() {
                return Ok(released);
            }
            released += self.release_some(instance).await?;
        }
    }

    async fn release_some(&self, instance: &str) -> Result<u64, MirrorError> {
        let mut write = self.begin().await?;
        let sql = format!(
            "SELECT last_position FROM clerk_mirror_instances WHERE instance_id = $1{}",
            self.dialect().for_update()
        );
        let last: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(instance).fetch_one(write.connection()).await?;
        // A statement of its own, so that it sees what was committed before the lock was there.
        let positions: Vec<i64> = sqlx::query_scalar(
            "UPDATE clerk_changes SET position = $2 + due.number FROM (\
             SELECT entry AS of_entry, ROW_NUMBER() OVER (ORDER BY entry) AS number FROM clerk_changes \
             WHERE instance_id = $1 AND position IS NULL AND due_at <= $3 ORDER BY entry LIMIT $4) AS due \
             WHERE clerk_changes.entry = due.of_entry RETURNING position",
        )
        .bind(instance)
        .bind(last)
        .bind(self.now())
        .bind(ENTRIES as i64)
        .fetch_all(write.connection())
        .await?;
        // Not the number of rows: an entry that was taken back meanwhile leaves a gap.
        let last = positions.iter().copied().max().unwrap_or(last);
        sqlx::query("UPDATE clerk_mirror_instances SET last_position = $2 WHERE instance_id = $1")
            .bind(instance)
            .bind(last)
            .execute(write.connection())
            .await?;
        write.commit().await?;
        Ok(positions.len() as u64)
    }
}

fn change_of(row: &sqlx::any::AnyRow) -> Result<Change, MirrorError> {
    let text = |at: usize| row.try_get::<String, _>(at);
    let newer = || {
        MirrorError::new(
            MirrorErrorKind::Schema,
            "the change feed holds an entry of a newer version of this program",
        )
    };
    Ok(Change {
        position: row.try_get(0)?,
        kind: Kind::from_str(&text(1)?).map_err(|_| newer())?,
        object_id: text(2)?,
        change: match text(3)?.as_str() {
            "created" => ChangeKind::Created,
            "updated" => ChangeKind::Updated,
            "deleted" => ChangeKind::Deleted,
            _ => return Err(newer()),
        },
        cause: match text(4)?.as_str() {
            "event" => ChangeCause::Event,
            "list" => ChangeCause::List,
            "read" => ChangeCause::Read,
            _ => return Err(newer()),
        },
        at: time(row.try_get(5)?),
    })
}
