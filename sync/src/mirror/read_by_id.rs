//! Reads of one object by its id, and deletions that follow from reads (rule Y2).
//!
//! A read by id is the latest word on an object: it wins over a row that nothing else has written since the request was sent,
//! whatever the row's version, and it alone can lift a tombstone.

use sqlx::{AssertSqlSafe, Row as _};

use super::Mirror;
use super::apply::{Deletion, Object, Written};
use super::event::Message;
use super::feed::{ChangeCause, ChangeKind, Told};
use super::quarantine::Poison;
use super::write::{Fence, Write};
use crate::database::statements::Guard;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::raw::raw;
use crate::record::{Record, Unfit};

/// How old a tombstone must be when a read is sent that may lift it. An answer may be of a moment before the deletion.
const SETTLED: i64 = 60_000;

/// Objects that one transaction deletes. A transaction erases the memberships of each, and holds off the events about them.
const DELETED_AT_ONCE: usize = 20;

/// A read by id that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct ReadById {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// The row's revision, if there is a row.
    pub(crate) revision: Option<i64>,
    pub(crate) sent_at: i64,
}

/// The outcome of a read by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// The row is as Clerk said.
    Written(Written),
    /// The object is gone, and has a tombstone.
    Deleted,
    /// The tombstone was lifted.
    Lifted,
    /// The object is gone, but something has written the row since the read was sent. Read again.
    Moved,
    /// It can't be stored, and is quarantined.
    Unfit,
}

/// A row, as far as a read by id compares it.
struct Head {
    revision: i64,
    deleted_at: Option<i64>,
}

impl Mirror {
    /// Notes the state of the row. Call it before the request is sent.
    pub(crate) async fn begin_read(&self, kind: Kind, id: &str) -> Result<ReadById, MirrorError> {
        let sent_at = self.now();
        let sql = format!("SELECT revision FROM {} WHERE instance_id = $1 AND id = $2", kind.table());
        let revision: Option<i64> = match self.instance_id() {
            None => None,
            Some(instance) => {
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .bind(instance)
                    .bind(id)
                    .fetch_optional(self.pool())
                    .await?
            }
        };
        Ok(ReadById { kind, id: id.to_owned(), revision, sent_at })
    }

    /// Applies the answer to a read by id; `None` where Clerk answered 404.
    pub(crate) async fn apply_read(
        &self,
        read: &ReadById,
        read_at: i64,
        entry: Option<&str>,
        fence: Option<&Fence>,
    ) -> Result<ReadOutcome, MirrorError> {
        let object = match entry.map(|json| self.object(read, json)).transpose() {
            Ok(object) => object,
            Err(unfit) => {
                self.quarantine(&[Poison::entry(read.kind, unfit)], fence).await?;
                return Ok(ReadOutcome::Unfit);
            }
        };
        let mut write = self.begin_fenced(fence).await?;
        let applied = self.apply_answer(&mut write, read, read_at, object).await;
        match applied {
            Err(error) if error.kind() == MirrorErrorKind::Unfit => {
                drop(write);
                let reason = "the database can't store it";
                let unfit = Unfit { id: Some(read.id.clone()), reason, ..Unfit::default() };
                self.quarantine(&[Poison::entry(read.kind, unfit)], fence).await?;
                Ok(ReadOutcome::Unfit)
            }
            Err(error) => Err(error),
            Ok(outcome) => {
                write.commit().await?;
                self.inner.wake.notify_one();
                Ok(outcome)
            }
        }
    }

    fn object(&self, read: &ReadById, json: &str) -> Result<Object, Unfit> {
        let record = Record::read(read.kind, json)?;
        if record.id != read.id {
            return Err(Unfit {
                id: Some(read.id.clone()),
                reason: "Clerk answered with another object",
                ..Unfit::default()
            });
        }
        Ok(Object { record, raw: if self.inner.keep_raw { raw(json) } else { None } })
    }

    async fn apply_answer(
        &self,
        write: &mut Write,
        read: &ReadById,
        read_at: i64,
        object: Option<Object>,
    ) -> Result<ReadOutcome, MirrorError> {
        // Before the row, as everywhere.
        match &object {
            None if read.kind != Kind::Membership => {
                self.lock_parents(write, &[&read.id]).await?;
            }
            Some(object) if read.kind == Kind::Membership => {
                self.share_parents(write, std::slice::from_ref(object)).await?;
            }
            _ => {}
        }
        let head = self.head(write, read).await?;
        let is_unmoved = head.as_ref().map(|head| head.revision) == read.revision;
        let tell = |change| [Told { kind: read.kind, id: read.id.clone(), change }];
        let Some(object) = object else {
            if head.is_some_and(|head| head.deleted_at.is_some()) {
                return Ok(ReadOutcome::Deleted);
            }
            if !is_unmoved {
                return Ok(ReadOutcome::Moved);
            }
            let deletion = Deletion::of_unknown(read.kind, &read.id);
            // No row has the revision 0: one that appears at this moment isn't written over.
            let (is_new, told) = self.delete(write, &deletion, Some(read.revision.unwrap_or(0))).await?;
            self.tell(write, told.as_slice(), ChangeCause::Read).await?;
            return Ok(if is_new { ReadOutcome::Deleted } else { ReadOutcome::Moved });
        };
        let objects = [object];
        let guard = match head {
            Some(Head { revision, deleted_at: Some(deleted_at) }) => {
                if !is_unmoved || read.sent_at < deleted_at.saturating_add(SETTLED) {
                    return Ok(ReadOutcome::Written(Written::Deleted));
                }
                self.upsert(write, &objects, read_at, Guard::Tombstone(revision)).await?;
                tracing::warn!(
                    target: "tower_clerk_sync",
                    kind = %read.kind, id = read.id, "lifted a tombstone: Clerk has the object after all"
                );
                let was_held = self.untell_deletion(write, read.kind, &read.id).await?;
                let change = if was_held { ChangeKind::Updated } else { ChangeKind::Created };
                self.tell(write, &tell(change), ChangeCause::Read).await?;
                return Ok(ReadOutcome::Lifted);
            }
            Some(Head { revision, deleted_at: None }) if is_unmoved => Guard::Revision(revision),
            _ => Guard::NotNewer,
        };
        let written = self.upsert(write, &objects, read_at, guard).await?;
        let written = written.first().copied().unwrap_or(Written::Older);
        if let Some(change) = written.change() {
            self.tell(write, &tell(change), ChangeCause::Read).await?;
        }
        Ok(ReadOutcome::Written(written))
    }

    /// The row as it is now. It is locked until the transaction ends.
    async fn head(&self, write: &mut Write, read: &ReadById) -> Result<Option<Head>, MirrorError> {
        let sql = format!(
            "SELECT revision, deleted_at FROM {} WHERE instance_id = $1 AND id = $2{}",
            read.kind.table(),
            self.dialect().for_update()
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(self.instance()?)
            .bind(&read.id)
            .fetch_optional(write.connection())
            .await?;
        let head = row
            .map(|row| Ok::<_, sqlx::Error>(Head { revision: row.try_get(0)?, deleted_at: row.try_get(1)? }));
        Ok(head.transpose()?)
    }

    /// Applies the answer to a read that an event caused, and notes the event, in one transaction.
    pub(crate) async fn apply_read_of(
        &self,
        message: Message<'_>,
        read: &ReadById,
        read_at: i64,
        entry: Option<&str>,
    ) -> Result<Option<ReadOutcome>, MirrorError> {
        let object = match entry.map(|json| self.object(read, json)).transpose() {
            Ok(object) => object,
            Err(unfit) => {
                self.quarantine(&[Poison::event(message, Some(read.kind), unfit)], None).await?;
                return Ok(Some(ReadOutcome::Unfit));
            }
        };
        let mut write = self.begin().await?;
        if !self.note(&mut write, message).await? {
            return Ok(None);
        }
        let outcome = self.apply_answer(&mut write, read, read_at, object).await?;
        write.commit().await?;
        self.inner.wake.notify_one();
        Ok(Some(outcome))
    }

    /// Turns objects into tombstones that Clerk has no more, unless something has written their rows since these revisions.
    /// Returns the ids that were written.
    pub(crate) async fn tombstone(
        &self,
        kind: Kind,
        untouched: &[(String, i64)],
        fence: Option<&Fence>,
    ) -> Result<Vec<String>, MirrorError> {
        // In the order of their ids, as all who write several rows.
        let mut untouched: Vec<&(String, i64)> = untouched.iter().collect();
        untouched.sort_unstable();
        let mut deleted = Vec::new();
        for untouched in untouched.chunks(DELETED_AT_ONCE) {
            let mut write = self.begin_fenced(fence).await?;
            if kind != Kind::Membership {
                let ids: Vec<&str> = untouched.iter().map(|(id, _)| &**id).collect();
                self.lock_parents(&mut write, &ids).await?;
            }
            let (mut ids, mut all_told) = (Vec::new(), Vec::new());
            for (id, revision) in untouched {
                let deletion = Deletion::of_unknown(kind, id);
                let (is_new, told) = self.delete(&mut write, &deletion, Some(*revision)).await?;
                ids.extend(is_new.then(|| id.clone()));
                all_told.extend(told);
            }
            self.tell(&mut write, &all_told, ChangeCause::List).await?;
            write.commit().await?;
            self.inner.wake.notify_one();
            deleted.extend(ids);
        }
        Ok(deleted)
    }
}
