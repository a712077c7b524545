//! Transactions that write.

use sqlx::{Any, AnyConnection, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::Mirror;
use crate::database::dialect::Dialect;
use crate::error::{MirrorError, MirrorErrorKind};

/// A transaction that writes. It is rolled back when it is dropped.
pub(crate) struct Write {
    transaction: Transaction<'static, Any>,
    /// After the transaction, so that the next writer doesn't find the lock taken.
    _turn: Option<OwnedMutexGuard<()>>,
}

/// The right to write of the holder of a lease. Each write compares the number inside of its transaction, so that no write of
/// a holder lands whose lease another one has taken over (rule Y6).
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    pub(crate) name: &'static str,
    pub(crate) number: i64,
}

impl Mirror {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Write, MirrorError> {
        let _turn = match self.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => Some(self.inner.turn.clone().lock_owned().await),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => None,
        };
        let transaction = self.pool().begin_with(self.dialect().begin()).await?;
        Ok(Write { transaction, _turn })
    }

    /// As [`begin`](Self::begin), for a task that holds a lease.
    pub(crate) async fn begin_fenced(&self, fence: Option<&Fence>) -> Result<Write, MirrorError> {
        let mut write = self.begin().await?;
        if let Some(fence) = fence {
            // Shared, so that a take-over waits until this write has landed.
            let sql = format!(
                "SELECT fence FROM clerk_mirror_leases WHERE instance_id = $1 AND name = $2{}",
                self.dialect().for_share()
            );
            let current: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(self.instance()?)
                .bind(fence.name)
                .fetch_optional(write.connection())
                .await?;
            if current != Some(fence.number) {
                return Err(MirrorError::new(
                    MirrorErrorKind::Fenced,
                    "another process has taken the lease over: this one wrote nothing more",
                ));
            }
        }
        Ok(write)
    }
}

impl Write {
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    pub(crate) async fn commit(self) -> Result<(), MirrorError> {
        Ok(self.transaction.commit().await?)
    }
}
