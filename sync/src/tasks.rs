//! How far the long tasks have come, and how the last one ended.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::{MirrorError, MirrorErrorKind};
use crate::mirror::{Fence, Mirror, Write};

/// A state that is kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A backfill that isn't finished.
    BackfillUnderWay,
    /// The last backfill that was finished.
    Backfill,
    /// The last reconciliation.
    Reconcile,
}

impl Task {
    const fn name(self) -> &'static str {
        match self {
            Self::BackfillUnderWay => "backfill_under_way",
            Self::Backfill => "backfill",
            Self::Reconcile => "reconcile",
        }
    }
}

impl Mirror {
    /// Keeps the state of a task. With a fence, only while it holds.
    pub(crate) async fn save_task<T: Serialize>(
        &self,
        task: Task,
        state: &T,
        fence: Option<&Fence>,
    ) -> Result<(), MirrorError> {
        let mut write = self.begin_fenced(fence).await?;
        self.put_state(&mut write, task, state).await?;
        write.commit().await
    }

    /// Keeps the report of a reconciliation. With a fence, only while it holds. A run without one only reports, and may end
    /// long after a repair that has overtaken it: its report is kept unless that of a later run is there.
    pub(crate) async fn save_report<T: Serialize>(
        &self,
        report: &T,
        started_at: i64,
        fence: Option<&Fence>,
    ) -> Result<(), MirrorError> {
        #[derive(Deserialize)]
        struct Kept {
            started_at: i64,
        }
        let mut write = self.begin_fenced(fence).await?;
        let sql = format!(
            "SELECT state FROM clerk_mirror_progress WHERE instance_id = $1 AND task = $2 AND kind = ''{}",
            self.dialect().for_update()
        );
        let kept: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(self.instance()?)
            .bind(Task::Reconcile.name())
            .fetch_optional(write.connection())
            .await?;
        let kept = kept.and_then(|kept| serde_json::from_str::<Kept>(&kept).ok());
        if fence.is_none() && kept.is_some_and(|kept| kept.started_at > started_at) {
            return Ok(());
        }
        self.put_state(&mut write, Task::Reconcile, report).await?;
        write.commit().await
    }

    async fn put_state<T: Serialize>(
        &self,
        write: &mut Write,
        task: Task,
        state: &T,
    ) -> Result<(), MirrorError> {
        let state = serde_json::to_string(state)
            .map_err(|_| MirrorError::new(MirrorErrorKind::Unfit, "a state can't be written as JSON"))?;
        sqlx::query(
            "INSERT INTO clerk_mirror_progress (instance_id, task, kind, state, updated_at) VALUES ($1, $2, '', $3, $4) \
             ON CONFLICT (instance_id, task, kind) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        )
        .bind(self.instance()?)
        .bind(task.name())
        .bind(state)
        .bind(self.now())
        .execute(write.connection())
        .await?;
        Ok(())
    }

    /// The state of a task, and when it was kept, in ms.
    pub(crate) async fn load_task<T: DeserializeOwned>(
        &self,
        task: Task,
    ) -> Result<Option<(T, i64)>, MirrorError> {
        let row = sqlx::query(
            "SELECT state, updated_at FROM clerk_mirror_progress WHERE instance_id = $1 AND task = $2 AND kind = ''",
        )
        .bind(self.instance()?)
        .bind(task.name())
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let state: String = row.try_get(0)?;
        // A state that another version of this program has written counts as none.
        let state = serde_json::from_str(&state).ok();
        let at = row.try_get(1)?;
        Ok(state.map(|state| (state, at)))
    }

    /// Drops the state of a task. With a fence, only while it holds.
    pub(crate) async fn drop_task(&self, task: Task, fence: Option<&Fence>) -> Result<(), MirrorError> {
        let mut write = self.begin_fenced(fence).await?;
        sqlx::query("DELETE FROM clerk_mirror_progress WHERE instance_id = $1 AND task = $2 AND kind = ''")
            .bind(self.instance()?)
            .bind(task.name())
            .execute(write.connection())
            .await?;
        write.commit().await
    }
}
