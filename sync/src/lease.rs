//! The lease that lets one run at a time write (rule Y6).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use sqlx::Row as _;

use crate::error::{MirrorError, MirrorErrorKind};
use crate::mirror::{Fence, Mirror};

/// The name of the lease. Backfill and reconciliation share it.
const NAME: &str = "sync";

/// The life of a lease that isn't renewed: after a crash, the next run waits no longer.
const LIFE: Duration = Duration::from_secs(120);

/// The time between two renewals.
const RENEWAL: Duration = Duration::from_secs(30);

/// The right to write as the only run of an instance.
///
/// The right is a row with an end and a number. A run that has been stopped for longer than the lease may still believe that
/// it has it, so each write compares the number in its own transaction, with the row locked: the number of a run that was
/// overtaken is an old one (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>).
#[derive(Debug)]
pub(crate) struct Lease {
    mirror: Mirror,
    fence: Fence,
}

impl Lease {
    /// Takes the lease, if no other run has it.
    ///
    /// # Errors
    ///
    /// [`MirrorErrorKind::Busy`] if another run has it.
    pub(crate) async fn acquire(mirror: &Mirror) -> Result<Self, MirrorError> {
        let (instance, now) = (mirror.instance()?, mirror.now());
        let mut write = mirror.begin().await?;
        sqlx::query(
            "INSERT INTO clerk_mirror_leases (instance_id, name, holder, fence, expires_at) VALUES ($1, $2, '', 0, 0) \
             ON CONFLICT (instance_id, name) DO NOTHING",
        )
        .bind(instance)
        .bind(NAME)
        .execute(write.connection())
        .await?;
        let taken = sqlx::query(
            "UPDATE clerk_mirror_leases SET fence = fence + 1, holder = $1, expires_at = $2 \
             WHERE instance_id = $3 AND name = $4 AND expires_at <= $5 RETURNING fence",
        )
        .bind(holder())
        .bind(now + millis(LIFE))
        .bind(instance)
        .bind(NAME)
        .bind(now)
        .fetch_optional(write.connection())
        .await?;
        let Some(taken) = taken else {
            drop(write);
            let held = Held::read(mirror).await?;
            let holder = held.map_or_else(|| "another run".to_owned(), |held| held.holder);
            let detail = format!(
                "{holder} is at work on this mirror: let it end, or wait two minutes if it was killed"
            );
            return Err(MirrorError::new(MirrorErrorKind::Busy, detail));
        };
        let number = taken.try_get::<i64, _>(0)?;
        write.commit().await?;
        Ok(Self { mirror: mirror.clone(), fence: Fence { name: NAME, number } })
    }

    /// The number that each write compares.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Renews the lease for as long as the work takes.
    ///
    /// # Errors
    ///
    /// Returns an error, and drops the work, if the lease is another run's by now.
    pub(crate) async fn hold<T, E: From<MirrorError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            let renewed = tokio::select! {
                biased;
                done = &mut work => return done,
                renewed = self.set_end(millis(LIFE)) => renewed,
            };
            match renewed {
                Err(error) if error.kind() == MirrorErrorKind::Fenced => return Err(error.into()),
                // A database that is away for a moment is no end: the next renewal may be in time, and if it isn't, no write of
                // this run lands after another one's beginning.
                Err(error) => tracing::warn!(target: "tower_clerk_sync", %error, "the lease was not renewed"),
                Ok(()) => {}
            }
        }
    }

    /// Gives the lease back.
    ///
    /// # Errors
    ///
    /// [`MirrorErrorKind::Fenced`] if it is another run's by now: even a run that found nothing to write was overtaken, and what it
    /// has to tell is old.
    pub(crate) async fn release(&self) -> Result<(), MirrorError> {
        self.set_end(0).await
    }

    async fn set_end(&self, life: i64) -> Result<(), MirrorError> {
        let mut write = self.mirror.begin().await?;
        let set = sqlx::query(
            "UPDATE clerk_mirror_leases SET expires_at = $1 WHERE instance_id = $2 AND name = $3 AND fence = $4",
        )
        .bind(if life > 0 { self.mirror.now() + life } else { 0 })
        .bind(self.mirror.instance()?)
        .bind(NAME)
        .bind(self.fence.number)
        .execute(write.connection())
        .await?;
        write.commit().await?;
        if set.rows_affected() == 1 {
            return Ok(());
        }
        Err(MirrorError::new(MirrorErrorKind::Fenced, "another run has taken the lease over"))
    }
}

/// A lease that a run has at the moment.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Held {
    pub(crate) holder: String,
    /// In ms.
    pub(crate) expires_at: i64,
}

impl Held {
    pub(crate) async fn read(mirror: &Mirror) -> Result<Option<Self>, MirrorError> {
        let row = sqlx::query(
            "SELECT holder, expires_at FROM clerk_mirror_leases WHERE instance_id = $1 AND name = $2 AND expires_at > $3",
        )
        .bind(mirror.instance()?)
        .bind(NAME)
        .bind(mirror.now())
        .fetch_optional(mirror.pool())
        .await?;
        row.map(|row| Ok(Self { holder: row.try_get(0)?, expires_at: row.try_get(1)? })).transpose()
    }
}

/// The name of this run for people: its host, if the environment tells, and process.
fn holder() -> String {
    let process = std::process::id();
    match std::env::var("HOSTNAME") {
        Ok(host) if !host.is_empty() => format!("process {process} on {host}"),
        _ => format!("process {process}"),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
