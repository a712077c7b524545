//! The work between events, by a task that ends with the last clone of the mirror.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tower_clerk::Clock;

use super::{Inner, Mirror};
use crate::error::MirrorError;

/// How often the housekeeper looks for deletions that are due. Commits wake it.
const TICK: Duration = Duration::from_secs(10);

/// The shortest time between two looks, so that a storm of events shares the transactions that number their changes.
const PAUSE: Duration = Duration::from_millis(20);

/// How often old ids are removed and the gauges are set.
const TIDY: Duration = Duration::from_secs(60);

/// How long the id of an event is kept. Clerk's sender makes its last attempt after 27 h 35 min
/// (<https://docs.svix.com/retries>).
const NOTED: i64 = 48 * 3600 * 1000;

/// The most entries of the quarantine that are kept.
const MOST_QUARANTINED: i64 = 10_000;

/// Starts the housekeeper.
pub(super) fn start(mirror: &Mirror) {
    let (inner, wake) = (Arc::downgrade(&mirror.inner), Arc::clone(&mirror.inner.wake));
    tokio::spawn(keep(inner, wake, mirror.clock));
}

async fn keep(inner: Weak<Inner>, wake: Arc<Notify>, clock: Clock) {
    let mut tidied: Option<Instant> = None;
    let mut is_failing = false;
    loop {
        let Some(mirror) = inner.upgrade().map(|inner| Mirror { inner, clock }) else { return };
        let mut done = mirror.release_changes().await.map(drop);
        if done.is_ok() && tidied.is_none_or(|at| at.elapsed() >= TIDY) {
            done = mirror.tidy().await;
            tidied = Some(Instant::now());
        }
        drop(mirror);
        match done {
            Ok(()) => is_failing = false,
            // One line for an outage of the database, and not one for each look.
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(target: "tower_clerk_sync", %error, "the housekeeping of the mirror failed, and is repeated");
            }
            Err(error) => {
                tracing::debug!(target: "tower_clerk_sync", %error, "the housekeeping failed again");
            }
        }
        tokio::time::sleep(PAUSE).await;
        let _elapsed = tokio::time::timeout(TICK, wake.notified()).await;
    }
}

impl Mirror {
    /// Removes the ids of old events, and from the quarantine the events that were applied after all and those beyond its bound.
    /// Sets the gauges.
    pub(crate) async fn tidy(&self) -> Result<(), MirrorError> {
        let Some(instance) = self.instance_id() else { return Ok(()) };
        let mut write = self.begin().await?;
        // The newest one stays, so that the age of the last event is known.
        sqlx::query(
            "DELETE FROM clerk_mirror_deliveries WHERE instance_id = $1 AND noted_at < $2 AND noted_at < \
             (SELECT MAX(newest.noted_at) FROM clerk_mirror_deliveries newest WHERE newest.instance_id = $1)",
        )
        .bind(instance)
        .bind(self.now().saturating_sub(NOTED))
        .execute(write.connection())
        .await?;
        sqlx::query(
            "DELETE FROM clerk_mirror_quarantine WHERE instance_id = $1 AND EXISTS (\
             SELECT 1 FROM clerk_mirror_deliveries d WHERE d.instance_id = $1 \
             AND d.message_id = clerk_mirror_quarantine.message_id AND d.noted_at >= clerk_mirror_quarantine.last_at)",
        )
        .bind(instance)
        .execute(write.connection())
        .await?;
        // A flood of events must not fill the disk. Those go first that name no object, since they can't be replayed, and then
        // the oldest ones.
        let dropped = sqlx::query(
            "DELETE FROM clerk_mirror_quarantine WHERE instance_id = $1 AND message_id IN (\
             SELECT kept.message_id FROM clerk_mirror_quarantine kept WHERE kept.instance_id = $1 \
             ORDER BY CASE WHEN kept.object_id IS NULL THEN 1 ELSE 0 END, kept.last_at DESC, kept.message_id \
             LIMIT 9223372036854775807 OFFSET $2)",
        )
        .bind(instance)
        .bind(MOST_QUARANTINED)
        .execute(write.connection())
        .await?
        .rows_affected();
        write.commit().await?;
        if dropped > 0 {
            tracing::warn!(target: "tower_clerk_sync", dropped, "the quarantine is full: entries were dropped");
        }
        crate::metrics::measure(self).await
    }
}
