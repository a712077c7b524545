//! How rows are written (rules Y1, Y2). All roads lead here: events, lists and reads by id.

use std::collections::HashMap;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use super::Mirror;
use super::feed::{ChangeKind, Told};
use super::write::Write;
use crate::database::statements::{self, Guard, list};
use crate::error::MirrorError;
use crate::kind::Kind;
use crate::record::{Record, Value};

/// Rows of one statement. PostgreSQL has at most 65,535 parameters, SQLite 32,766.
const ROWS: usize = 100;

/// An object to write, with its raw JSON where that is kept.
pub(super) struct Object {
    pub(super) record: Record,
    pub(super) raw: Option<String>,
}

/// The outcome for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Created,
    Updated,
    /// Its row was written, and no mirrored column differs.
    Unchanged,
    /// Refused: the row is newer, or has moved.
    Older,
    /// Refused: it, its user or its organization has a tombstone.
    Deleted,
}

impl Written {
    pub(super) fn change(self) -> Option<ChangeKind> {
        match self {
            Self::Created => Some(ChangeKind::Created),
            Self::Updated => Some(ChangeKind::Updated),
            Self::Unchanged | Self::Older | Self::Deleted => None,
        }
    }
}

/// A deletion, and the values that the tombstone keeps if the object was never seen.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// In the order of [`Kind::columns_of_tombstone`].
    pub(super) kept: Vec<Value>,
}

impl Deletion {
    pub(super) fn of_unknown(kind: Kind, id: &str) -> Self {
        let columns = kind.columns_of_tombstone();
        let none =
            |column: &&str| if *column == "created_at" { Value::Integer(None) } else { Value::Text(None) };
        Self { kind, id: id.to_owned(), kept: columns.iter().map(none).collect() }
    }

    /// The deletion of an object that the event shows as it was.
    pub(super) fn of_record(record: &Record) -> Self {
        let columns = record.kind.columns_of_tombstone();
        let kept = columns.iter().filter_map(|column| record.value(column).cloned()).collect();
        Self { kind: record.kind, id: record.id.clone(), kept }
    }
}

impl Mirror {
    /// Writes objects of one kind, in the order of their ids, so that two writers don't wait for each other. No id may come
    /// twice. Returns what became of each.
    pub(super) async fn upsert(
        &self,
        write: &mut Write,
        objects: &[Object],
        told_at: i64,
        guard: Guard,
    ) -> Result<Vec<Written>, MirrorError> {
        let Some(kind) = objects.first().map(|object| object.record.kind) else { return Ok(Vec::new()) };
        if kind == Kind::Membership {
            self.share_parents(write, objects).await?;
        }
        let instance = self.instance()?;
        let mut written: HashMap<String, Written> = HashMap::with_capacity(objects.len());
        for objects in objects.chunks(ROWS) {
            let sql = statements::upsert(self.dialect(), kind, objects.len(), guard);
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(instance).bind(told_at).bind(told_at);
            for Object { record, raw } in objects {
                query = query.bind(&record.id).bind(record.version).bind(&record.hash);
                for value in &record.values {
                    query = bind(query, value);
                }
                query = query.bind(raw.as_ref());
            }
            query = match guard {
                Guard::NotNewer => query,
                Guard::Revision(revision) | Guard::Tombstone(revision) => query.bind(revision),
            };
            for row in query.fetch_all(write.connection()).await? {
                let (revision, changed): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                let outcome = match () {
                    () if revision == 1 => Written::Created,
                    () if revision == changed => Written::Updated,
                    () => Written::Unchanged,
                };
                written.insert(row.try_get(0)?, outcome);
            }
        }
        let ids = |is_written: bool| -> Vec<&str> {
            let ids = objects.iter().map(|object| object.record.id.as_str());
            ids.filter(|id| written.contains_key(*id) == is_written).collect()
        };
        let hidden =
            if kind == Kind::Membership { self.erase_covered(write, &ids(true)).await? } else { Vec::new() };
        let tombstones = self.touch(write, kind, &ids(false), told_at).await?;
        written.extend(hidden.into_iter().chain(tombstones).map(|id| (id, Written::Deleted)));
        let outcome = |object: &Object| written.get(&object.record.id).copied().unwrap_or(Written::Older);
        Ok(objects.iter().map(outcome).collect())
    }

    /// Notes that refused objects exist at Clerk. Returns the ids among them that have a tombstone.
    async fn touch(
        &self,
        write: &mut Write,
        kind: Kind,
        ids: &[&str],
        seen_at: i64,
    ) -> Result<Vec<String>, MirrorError> {
        let mut tombstones = Vec::new();
        for ids in ids.chunks(ROWS) {
            let sql = format!(
                "UPDATE {} SET seen_at = CASE WHEN deleted_at IS NULL AND seen_at < $2 THEN $2 ELSE seen_at END \
                 WHERE instance_id = $1 AND id IN {} RETURNING id, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END",
                kind.table(),
                list(3, ids.len())
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(self.instance()?).bind(seen_at);
            for id in ids {
                query = query.bind(*id);
            }
            for row in query.fetch_all(write.connection()).await? {
                if row.try_get::<i64, _>(1)? == 1 {
                    tombstones.push(row.try_get(0)?);
                }
            }
        }
        Ok(tombstones)
    }

    /// Erases the content of memberships whose user or organization is deleted, and returns their ids. The parents are locked.
    async fn erase_covered(&self, write: &mut Write, ids: &[&str]) -> Result<Vec<String>, MirrorError> {
        let mut covered = Vec::new();
        for ids in ids.chunks(ROWS) {
            let sql = format!(
                "UPDATE clerk_mirror_memberships SET public_metadata = NULL, raw = NULL, hash = '' \
                 WHERE instance_id = $1 AND id IN {} AND (\
                 EXISTS (SELECT 1 FROM clerk_mirror_users p WHERE p.instance_id = $1 \
                 AND p.id = clerk_mirror_memberships.user_id AND p.deleted_at IS NOT NULL) OR \
                 EXISTS (SELECT 1 FROM clerk_mirror_organizations p WHERE p.instance_id = $1 \
                 AND p.id = clerk_mirror_memberships.organization_id AND p.deleted_at IS NOT NULL)) RETURNING id",
                list(2, ids.len())
            );
            let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(self.instance()?);
            for id in ids {
                query = query.bind(*id);
            }
            covered.extend(query.fetch_all(write.connection()).await?);
        }
        Ok(covered)
    }

    /// Writes a tombstone. Returns whether there was none yet, and the entry for the change feed.
    ///
    /// With a revision, only over a row of this revision. A user or an organization must be locked
    /// ([`lock_parents`](Self::lock_parents)).
    pub(super) async fn delete(
        &self,
        write: &mut Write,
        deletion: &Deletion,
        revision: Option<i64>,
    ) -> Result<(bool, Option<Told>), MirrorError> {
        let Deletion { kind, id, kept } = deletion;
        let instance = self.instance()?;
        let sql = statements::tombstone(*kind);
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(instance).bind(id).bind(self.now());
        for value in kept {
            query = match value {
                Value::Text(text) | Value::Json(text) => query.bind(text.as_ref()),
                Value::Integer(number) => query.bind(*number),
                Value::Flag(flag) => query.bind(*flag),
            };
        }
        let written: Option<i64> = query.bind(revision).fetch_optional(write.connection()).await?;
        let Some(revision) = written else { return Ok((false, None)) };
        if let Some(sql) = statements::erase_memberships(*kind) {
            sqlx::query(sql).bind(instance).bind(id).execute(write.connection()).await?;
        }
        // The feed has told of no object that was never seen.
        let told = (revision > 1).then(|| Told { kind: *kind, id: id.clone(), change: ChangeKind::Deleted });
        Ok((true, told))
    }
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, value: &'q Value) -> Query<'q, Any, AnyArguments> {
    match value {
        Value::Text(text) | Value::Json(text) => query.bind(text.as_ref()),
        Value::Integer(number) => query.bind(*number),
        Value::Flag(flag) => query.bind(*flag),
    }
}
