//! How the mirror is kept in step (rule Y7).

use std::fmt;

use serde::Serialize;

use crate::error::MirrorError;
use crate::lease::Held;
use crate::mirror::Mirror;
use crate::tasks::Task;

/// The state of a mirror and of the runs that keep it in step: what `clerk-sync status` shows.
///
/// `Display` is a text of a few lines. All times are in milliseconds since 1970.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SyncStatus {
    /// The instance (`ins_…`), if it is known yet.
    pub instance_id: Option<String>,
    /// The objects, by kind.
    pub counts: Vec<KindStatus>,
    /// When the event occurred that was applied last.
    pub last_event_at: Option<i64>,
    /// How long ago that was, in seconds. A long silence means that events don't arrive.
    pub last_event_age: Option<u64>,
    /// Events and list entries that can't be applied.
    pub quarantined: u64,
    /// Changes that the feed doesn't tell yet, such as deletions that are held back.
    pub pending_changes: u64,
    /// The last position of the change feed.
    pub last_position: i64,
    /// The run that writes at the moment.
    pub running: Option<RunningStatus>,
    /// Whether a backfill was stopped half-way.
    pub backfill_is_unfinished: bool,
    /// The last backfill that was finished.
    pub last_backfill: Option<LastRun>,
    /// The last reconciliation.
    pub last_reconcile: Option<LastRun>,
}

/// The number of objects of one kind.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KindStatus {
    /// `user`, `organization` or `membership`.
    pub kind: &'static str,
    /// Rows of the view.
    pub live: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// A run that has the lease.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunningStatus {
    /// The process.
    pub holder: String,
    /// When its lease ends if it isn't renewed.
    pub expires_at: i64,
}

/// The end of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LastRun {
    /// When it ended.
    pub at: i64,
    /// How long ago that was, in seconds.
    pub age: u64,
    /// Its report, as [`ReconcileReport`](crate::ReconcileReport) or [`BackfillReport`](crate::BackfillReport) has it.
    pub report: serde_json::Value,
}

impl SyncStatus {
    /// Reads the state. It counts all rows, which takes a while for a million.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    ///
    /// ```no_run
    /// use tower_clerk_sync::{Mirror, SyncStatus};
    ///
    /// # async fn example() -> Result<(), tower_clerk_sync::MirrorError> {
    /// println!("{}", SyncStatus::read(&Mirror::connect("sqlite://mirror.db").await?).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(mirror: &Mirror) -> Result<Self, MirrorError> {
        let status = mirror.status().await?;
        let counts = status.counts.iter();
        let counts = counts
            .map(|it| KindStatus { kind: it.kind.name(), live: it.live, deleted: it.deleted })
            .collect();
        let mut this = Self {
            instance_id: status.instance_id,
            counts,
            last_event_at: status.last_event_at.map(crate::time::millis),
            last_event_age: status.last_event_age.map(|age| age.as_secs()),
            quarantined: status.quarantined,
            pending_changes: status.pending_changes,
            last_position: status.last_position,
            running: None,
            backfill_is_unfinished: false,
            last_backfill: None,
            last_reconcile: None,
        };
        if this.instance_id.is_some() {
            let Runs { running, last_reconcile } = Runs::read(mirror).await?;
            (this.running, this.last_reconcile) = (running, last_reconcile);
            let unfinished = mirror.load_task::<serde_json::Value>(Task::BackfillUnderWay).await?;
            this.backfill_is_unfinished = unfinished.is_some();
            this.last_backfill = LastRun::read(mirror, Task::Backfill).await?;
        }
        Ok(this)
    }
}

/// The part of the status about runs that is cheap to read.
pub(crate) struct Runs {
    pub(crate) running: Option<RunningStatus>,
    pub(crate) last_reconcile: Option<LastRun>,
}

impl Runs {
    /// The mirror must know its instance.
    pub(crate) async fn read(mirror: &Mirror) -> Result<Self, MirrorError> {
        let held = Held::read(mirror).await?;
        Ok(Self {
            running: held.map(|Held { holder, expires_at }| RunningStatus { holder, expires_at }),
            last_reconcile: LastRun::read(mirror, Task::Reconcile).await?,
        })
    }
}

impl LastRun {
    async fn read(mirror: &Mirror, task: Task) -> Result<Option<Self>, MirrorError> {
        let state = mirror.load_task(task).await?;
        let age = |at: i64| u64::try_from((mirror.now() - at) / 1_000).unwrap_or_default();
        Ok(state.map(|(report, at)| Self { at, age: age(at), report }))
    }

    pub(crate) fn outcome(&self) -> &str {
        self.report["outcome"].as_str().unwrap_or("finished")
    }

    /// The differences of a kind that a reconciliation has found, and those that it has left.
    #[cfg(feature = "metrics")]
    pub(crate) fn differences(&self, kind: crate::Kind) -> (u64, u64) {
        let report = &self.report[format!("{kind}s")];
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        let found = ["missing", "extra", "stale", "wrongly_deleted", "unfit"].map(number).iter().sum();
        (found, number("remaining"))
    }
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago =
            |age: Option<u64>| age.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age)));
        writeln!(f, "instance: {}", self.instance_id.as_deref().unwrap_or("not known yet"))?;
        for it in &self.counts {
            writeln!(f, "{}s: {} (and {} deleted)", it.kind, it.live, it.deleted)?;
        }
        writeln!(f, "last event: {}", ago(self.last_event_age))?;
        writeln!(f, "quarantined: {}", self.quarantined)?;
        writeln!(f, "change feed: at {}, {} pending", self.last_position, self.pending_changes)?;
        let unfinished =
            if self.backfill_is_unfinished { "; another one is unfinished: run it again" } else { "" };
        writeln!(f, "last backfill: {}{unfinished}", ago(self.last_backfill.as_ref().map(|run| run.age)))?;
        write!(f, "last reconciliation: {}", ago(self.last_reconcile.as_ref().map(|run| run.age)))?;
        if let Some(run) = &self.last_reconcile {
            write!(f, ", {}", run.outcome())?;
            if let Some(reason) = run.report["reason"].as_str() {
                write!(f, ": {reason}")?;
            }
        }
        match &self.running {
            Some(running) => write!(f, "\nrunning: {}", running.holder),
            None => Ok(()),
        }
    }
}

/// A span in the largest unit of which it has two.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
