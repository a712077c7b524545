//! The statements that write objects (rules Y1, Y2).
//!
//! Parameters are `$1`, `$2`, …, which both databases know. A statement is one decision, so that no other writer comes between
//! the comparison and the write.

use std::fmt::Write as _;

use super::dialect::Dialect;
use crate::kind::{Column, Kind, Type};

/// The condition on which a row is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It is live, and not newer.
    NotNewer,
    /// It is live, and of this revision.
    Revision(i64),
    /// It is a tombstone of this revision, which is lifted.
    Tombstone(i64),
}

/// The parameters before those of the rows: instance, `told_at`, `seen_at`.
const COMMON: usize = 3;

/// Inserts rows, or writes over those that the guard allows. Returns `id, revision, changed` of the rows that were written.
///
/// Parameters: instance, `told_at`, `seen_at`; for each row `id`, `version`, `hash`, the columns, `raw`; the guard's revision.
pub(crate) fn upsert(dialect: Dialect, kind: Kind, rows: usize, guard: Guard) -> String {
    let table = kind.table();
    let columns = kind.columns();
    let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
    let mut sql = format!(
        "INSERT INTO {table} AS t (instance_id, id, revision, changed, version, told_at, hash, seen_at{names}, raw) VALUES "
    );
    let per_row = per_row(kind);
    for row in 0..rows {
        let at = COMMON + row * per_row;
        let comma = if row == 0 { "" } else { ", " };
        let values: String = columns
            .iter()
            .enumerate()
            .map(|(column, (_, of))| value(dialect, *of, at + 4 + column))
            .collect();
        let (id, version, hash, raw) = (at + 1, at + 2, at + 3, at + per_row);
        let _ = write!(sql, "{comma}($1, ${id}, 1, 1, ${version}, $2, ${hash}, $3{values}, ${raw})");
    }
    let set: String = columns.iter().map(|(name, _)| format!(", {name} = excluded.{name}")).collect();
    // A tombstone's hash is empty, so that an object that comes back counts as changed.
    let _ = write!(
        sql,
        " ON CONFLICT (instance_id, id) DO UPDATE SET revision = t.revision + 1, \
         changed = CASE WHEN t.hash = excluded.hash THEN t.changed ELSE t.revision + 1 END, \
         version = excluded.version, told_at = excluded.told_at, hash = excluded.hash, \
         seen_at = CASE WHEN t.seen_at > excluded.seen_at THEN t.seen_at ELSE excluded.seen_at END, \
         deleted_at = NULL{set}, raw = excluded.raw WHERE "
    );
    let revision = COMMON + rows * per_row + 1;
    let _ = match guard {
        Guard::NotNewer => write!(
            sql,
            "t.deleted_at IS NULL AND (t.version < excluded.version \
             OR (t.version = excluded.version AND t.told_at <= excluded.told_at))"
        ),
        Guard::Revision(_) => write!(sql, "t.deleted_at IS NULL AND t.revision = ${revision}"),
        Guard::Tombstone(_) => write!(sql, "t.deleted_at IS NOT NULL AND t.revision = ${revision}"),
    };
    sql + " RETURNING id, revision, changed"
}

/// Parameters of one row of [`upsert`].
pub(crate) fn per_row(kind: Kind) -> usize {
    kind.columns().len() + 4
}

fn value(dialect: Dialect, of: Type, parameter: usize) -> String {
    match of {
        Type::Json => format!(", CAST(${parameter} AS {})", dialect.json()),
        Type::Text | Type::Integer | Type::Flag => format!(", ${parameter}"),
    }
}

/// Turns an object into a tombstone, or inserts one for an id that was never seen. Returns `revision` if it wrote.
///
/// Parameters: instance, id, the time; what a new tombstone keeps; a revision that the row must have, or `NULL`.
pub(crate) fn tombstone(kind: Kind) -> String {
    let kept = kind.columns_of_tombstone();
    let names: String = kept.iter().map(|name| format!(", {name}")).collect();
    let values: String = (0..kept.len()).map(|at| format!(", ${}", 4 + at)).collect();
    let is_erased = |column: &&Column| !kept.contains(&column.0);
    let erased: String =
        kind.columns().iter().filter(is_erased).map(|(name, _)| format!(", {name} = NULL")).collect();
    let revision = 4 + kept.len();
    // Each parameter has a type by its use. `NULL = NULL` isn't true, so no revision is asked for by its own condition.
    format!(
        "INSERT INTO {} AS t (instance_id, id, revision, changed, version, told_at, hash, seen_at, deleted_at{names}) \
         VALUES ($1, $2, 1, 1, 0, 0, '', 0, $3{values}) \
         ON CONFLICT (instance_id, id) DO UPDATE SET revision = t.revision + 1, changed = t.revision + 1, version = 0, \
         told_at = 0, hash = '', seen_at = 0, deleted_at = excluded.deleted_at{erased}, raw = NULL \
         WHERE t.deleted_at IS NULL AND (CAST(${revision} AS BIGINT) IS NULL OR t.revision = ${revision}) \
         RETURNING revision",
        kind.table()
    )
}

/// Erases the content of the memberships of a parent that is deleted. The view shows them no more.
///
/// Parameters: instance, id of the parent.
pub(crate) fn erase_memberships(parent: Kind) -> Option<&'static str> {
    match parent {
        Kind::User => Some(
            "UPDATE clerk_mirror_memberships SET public_metadata = NULL, raw = NULL, hash = '' \
             WHERE instance_id = $1 AND user_id = $2 AND hash <> ''",
        ),
        Kind::Organization => Some(
            "UPDATE clerk_mirror_memberships SET public_metadata = NULL, raw = NULL, hash = '' \
             WHERE instance_id = $1 AND organization_id = $2 AND hash <> ''",
        ),
        Kind::Membership => None,
    }
}

/// The list `($n, $n+1, …)` of parameters.
pub(crate) fn list(first: usize, count: usize) -> String {
    let parameters: Vec<String> = (first..first + count).map(|at| format!("${at}")).collect();
    format!("({})", parameters.join(", "))
}
