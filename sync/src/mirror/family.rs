//! Locks between the deletion of a user or an organization and a write of its memberships (rule Y2).
//!
//! The deletion erases the content of the memberships that it sees, and the write erases that of memberships whose parent it
//! sees deleted. On PostgreSQL, two transactions at the same moment see nothing of each other, and a row can't be locked that isn't
//! there yet: a membership may arrive before its user, and so may the user's deletion. So they lock a number that comes from the
//! parent's id. The locks are advisory ones of the transaction
//! (<https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS>). SQLite has one writer at a time.

#[cfg(feature = "postgres")]
use std::collections::BTreeSet;

use super::Mirror;
use super::apply::Object;
use super::write::Write;
use crate::database::dialect::Dialect;
use crate::error::MirrorError;
use crate::record::Value;

/// The locks' first number, which keeps them apart from those of an application: "Clrk".
#[cfg(feature = "postgres")]
const SPACE: i32 = 0x436c_726b;

/// Second numbers. A page of 500 memberships takes no more locks than that: the server's table of locks is small.
#[cfg(feature = "postgres")]
const BUCKETS: u8 = 64;

impl Mirror {
    /// Waits for deletions of the parents of these memberships, and holds them off until the transaction ends. Take it before
    /// any row of the memberships.
    pub(super) async fn share_parents(
        &self,
        write: &mut Write,
        memberships: &[Object],
    ) -> Result<(), MirrorError> {
        let mut parents = Vec::with_capacity(2 * memberships.len());
        for Object { record, .. } in memberships {
            for column in ["user_id", "organization_id"] {
                if let Some(Value::Text(Some(id))) = record.value(column) {
                    parents.push(&**id);
                }
            }
        }
        self.lock(write, "pg_advisory_xact_lock_shared", &parents).await
    }

    /// Waits for writes of memberships of these users or organizations, and holds them off until the transaction ends. Take it
    /// before any row of theirs.
    pub(super) async fn lock_parents(&self, write: &mut Write, ids: &[&str]) -> Result<(), MirrorError> {
        self.lock(write, "pg_advisory_xact_lock", ids).await
    }

    async fn lock(&self, write: &mut Write, function: &str, ids: &[&str]) -> Result<(), MirrorError> {
        match self.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let _ = (write, function, ids);
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let instance = self.instance()?;
                // In their order, so that two transactions don't wait for each other.
                let buckets: BTreeSet<u8> = ids.iter().map(|id| bucket(instance, id)).collect();
                if buckets.is_empty() {
                    return Ok(());
                }
                let values: Vec<String> =
                    (1..=buckets.len()).map(|at| format!("(CAST(${at} AS INTEGER))")).collect();
                // The driver that knows both databases can't read `void`.
                let sql = format!(
                    "SELECT CAST({function}({SPACE}, bucket) AS TEXT) FROM (VALUES {}) AS buckets (bucket)",
                    values.join(", ")
                );
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                for bucket in buckets {
                    query = query.bind(i32::from(bucket));
                }
                query.execute(write.connection()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "postgres")]
fn bucket(instance: &str, id: &str) -> u8 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(instance.as_bytes()).update(&[0]).update(id.as_bytes());
    hasher.finalize().as_bytes()[0] % BUCKETS
}
