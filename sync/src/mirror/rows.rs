//! Rows as they stand in the mirror, for comparison with what Clerk shows.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::Mirror;
use crate::database::statements::list;
use crate::error::MirrorError;
use crate::kind::{Column, Kind, Type};
use crate::record::{Value, canonical_text};

/// Ids of one statement.
const IDS: usize = 500;

/// A row without its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) revision: i64,
    pub(crate) version: i64,
    pub(crate) told_at: i64,
    pub(crate) seen_at: i64,
    pub(crate) hash: String,
    pub(crate) is_deleted: bool,
}

/// A row with its columns, in the order of [`Kind::columns`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) head: Head,
    pub(crate) values: Vec<Value>,
}

const HEAD: &str =
    "id, revision, version, told_at, seen_at, hash, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END";

/// The number of columns in [`HEAD`].
const HEAD_COLUMNS: usize = 7;

impl Mirror {
    /// The rows with these ids, tombstones included, without their columns.
    pub(crate) async fn heads(&self, kind: Kind, ids: &[&str]) -> Result<Vec<Head>, MirrorError> {
        let rows = self.select(kind, HEAD, ids).await?;
        Ok(rows.iter().map(head).collect::<Result<_, _>>()?)
    }

    /// The rows with these ids, tombstones included.
    pub(crate) async fn rows(&self, kind: Kind, ids: &[&str]) -> Result<Vec<Row>, MirrorError> {
        // The driver that knows both databases reads neither flags nor JSON of one of them.
        let column = |(name, of): &Column| match of {
            Type::Text | Type::Integer => format!(", {name}"),
            Type::Flag => format!(", CAST({name} AS INTEGER)"),
            Type::Json => format!(", CAST({name} AS TEXT)"),
        };
        let columns: String = kind.columns().iter().map(column).collect();
        let rows = self.select(kind, &format!("{HEAD}{columns}"), ids).await?;
        let row = |row: &AnyRow| {
            let values = kind.columns().iter().enumerate();
            let values =
                values.map(|(at, (_, of))| value(row, HEAD_COLUMNS + at, *of)).collect::<Result<_, _>>()?;
            Ok::<_, sqlx::Error>(Row { head: head(row)?, values })
        };
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn select(&self, kind: Kind, columns: &str, ids: &[&str]) -> Result<Vec<AnyRow>, MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(Vec::new()) };
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS) {
            let table = kind.table();
            let ids_list = list(2, ids.len());
            let sql = format!(
                "SELECT {columns} FROM {table} WHERE instance_id = $1 AND id IN {ids_list} ORDER BY id"
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(instance);
            for id in ids {
                query = query.bind(*id);
            }
            rows.extend(query.fetch_all(self.pool()).await?);
        }
        Ok(rows)
    }
}

fn head(row: &AnyRow) -> Result<Head, sqlx::Error> {
    Ok(Head {
        id: row.try_get(0)?,
        revision: row.try_get(1)?,
        version: row.try_get(2)?,
        told_at: row.try_get(3)?,
        seen_at: row.try_get(4)?,
        hash: row.try_get(5)?,
        is_deleted: row.try_get::<i64, _>(6)? == 1,
    })
}

fn value(row: &AnyRow, at: usize, of: Type) -> Result<Value, sqlx::Error> {
    Ok(match of {
        Type::Text => Value::Text(row.try_get(at)?),
        Type::Integer => Value::Integer(row.try_get(at)?),
        Type::Flag => Value::Flag(row.try_get::<Option<i64>, _>(at)?.map(|flag| flag != 0)),
        // PostgreSQL writes JSON in a form of its own.
        Type::Json => Value::Json(row.try_get::<Option<String>, _>(at)?.map(|json| canonical_text(&json))),
    })
}
