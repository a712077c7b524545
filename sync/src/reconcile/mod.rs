//! Compares the mirror with Clerk, and repairs it (rule Y6).

mod abort;
mod bounds;
mod confirm;
mod report;
mod reread;
mod rows;
mod run;
mod scan;
mod seen;

use std::time::Duration;

use tokio::time::Instant;
use tower_clerk::backend::BackendClient;

use self::abort::{Abort, Stop};
pub(crate) use self::confirm::Candidate;
pub use self::report::{KindReport, ReconcileMode, ReconcileOutcome, ReconcileReport};
use self::run::Run;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::lease::Lease;
use crate::mirror::Mirror;
use crate::progress::{Observer, Progress};
use crate::{time, walk};

/// The time between the two confirmations that a row is no longer at Clerk. It is longer than a replica of Clerk's database or
/// a cache should lag behind, and than an outage should give wrong answers.
const CONFIRMED_AGAIN: Duration = Duration::from_secs(60);

/// A comparison of the mirror with Clerk: users, organizations and memberships.
///
/// Webhooks may come late or never, so a mirror that rests on them alone drifts. A reconciliation finds the drift, and
/// [`ReconcileMode::Repair`] removes it. Run it every night, with `clerk-sync reconcile --repair` or in a task of the application.
///
/// It reads all lists of the instance, at the rate of the client: by default a tenth of the budget of the Backend API.
/// A million users take 2,000 calls: 250 s at the 80 calls in 10 s that a production instance has for it by default.
///
/// # What it deletes
///
/// A row is deleted if Clerk's list doesn't show it, nothing has touched it since the beginning, and Clerk has said twice,
/// 60 s apart, that it isn't there: when asked for it by id, together with an entry that is known to be there. Nothing at all is
/// deleted
///
/// - if Clerk doesn't answer, or refuses the key, or if the key is of another instance than the mirror,
/// - if an answer lacks an entry that is there, or has one that wasn't asked for,
/// - if a list is empty, or twice shorter than Clerk's own count, or if more than 1 % of the rows of a kind would be deleted and more
///   than 10, unless [`force`](Self::force) is set.
///
/// ```no_run
/// use tower_clerk_sync::{Mirror, Reconcile, ReconcileMode};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = tower_clerk::backend::BackendClient::from_env()?;
/// let mirror = Mirror::connect("sqlite://mirror.db").await?;
/// let report = Reconcile::new(mirror, client).mode(ReconcileMode::Repair).run().await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Reconcile {
    mirror: Mirror,
    client: BackendClient,
    mode: ReconcileMode,
    is_forced: bool,
    page_size: u32,
    observer: Observer,
}

impl Reconcile {
    /// A comparison that only reports.
    pub fn new(mirror: Mirror, client: BackendClient) -> Self {
        Self {
            mirror,
            client,
            mode: ReconcileMode::default(),
            is_forced: false,
            page_size: walk::LARGEST_PAGE,
            observer: Observer::default(),
        }
    }

    /// Sets whether the mirror is repaired: by default, it isn't.
    pub fn mode(mut self, mode: ReconcileMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether an empty list, a short one and many deletions are believed: by default, they aren't.
    ///
    /// An answer that can't be right is never believed.
    pub fn force(mut self, is_forced: bool) -> Self {
        self.is_forced = is_forced;
        self
    }

    /// Sets how many entries are read and compared at once, from 1 to 500: by default 500, the most that Clerk gives.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.page_size = entries.clamp(1, walk::LARGEST_PAGE);
        self
    }

    /// Calls the function at each step.
    pub fn on_progress(mut self, observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Compares, and repairs if that was asked for.
    ///
    /// Dropping the future stops it at any point, and leaves what was written. With [`ReconcileMode::Repair`], the next run can
    /// begin two minutes later then.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, of kind [`Busy`](MirrorErrorKind::Busy) if another run is under way, and of kind
    /// [`Fenced`](MirrorErrorKind::Fenced) if another run has taken over, because this one was stopped for more than two minutes.
    /// A reason on Clerk's side is no error but [`ReconcileOutcome::Aborted`], with the reason in the report.
    pub async fn run(&self) -> Result<ReconcileReport, MirrorError> {
        let begun = Instant::now();
        // By this clock until Clerk has told its own.
        let mut report = ReconcileReport::new(self.mode, self.mirror.now());
        let (lease, done) = match self.begin(&mut report).await {
            Ok(lease) => {
                let done = self.work(&mut report, lease.as_ref()).await;
                (lease, done)
            }
            Err(stop) => (None, Err(stop)),
        };
        report.seconds = begun.elapsed().as_secs_f64();
        let ended = match done {
            Ok(()) => {
                report.conclude();
                Ok(())
            }
            Err(Stop::Abort(abort)) => {
                report.abort(&abort);
                Ok(())
            }
            Err(Stop::Mirror(error)) => Err(error),
        };
        // Before the lease is given back, so that nothing comes between.
        let kept = match ended {
            Ok(()) => self.keep(&report, lease.as_ref()).await,
            failed => failed,
        };
        let released = match &lease {
            Some(lease) => lease.release().await,
            None => Ok(()),
        };
        kept.and(released)?;
        Ok(report)
    }

    /// Learns the instance and the time from Clerk, and takes the lease if the mirror is to be repaired.
    async fn begin(&self, report: &mut ReconcileReport) -> Result<Option<Lease>, Stop> {
        let instance = self.client.instance().await?;
        report.started_at = time::millis(instance.read_at);
        report.instance_id.clone_from(&instance.value.id);
        self.check_instance(&instance.value.id).await?;
        Ok(match self.mode {
            ReconcileMode::Repair => Some(Lease::acquire(&self.mirror).await?),
            ReconcileMode::Report => None,
        })
    }

    async fn work(&self, report: &mut ReconcileReport, lease: Option<&Lease>) -> Result<(), Stop> {
        let mut run = Run {
            mirror: &self.mirror,
            client: &self.client,
            observer: &self.observer,
            fence: lease.map(Lease::fence),
            is_forced: self.is_forced,
            page_size: self.page_size,
            started_at: report.started_at,
            report,
        };
        match lease {
            Some(lease) => lease.hold(run.steps()).await,
            None => run.steps().await,
        }
    }

    /// Keeps the report for the status.
    async fn keep(&self, report: &ReconcileReport, lease: Option<&Lease>) -> Result<(), MirrorError> {
        // A foreign mirror is left as it is. Without an answer of Clerk's, the mirror is taken for the right one: a key that is
        // refused every night has to show in the status.
        let is_own = |mirror: &str| report.instance_id.is_empty() || report.instance_id == mirror;
        if self.mirror.instance_id().is_some_and(is_own) {
            self.mirror.save_report(report, report.started_at, lease.map(Lease::fence)).await?;
            self.mirror.release_changes().await?;
        }
        Ok(())
    }

    /// The mirror must be of the instance that the secret key is of. An empty one becomes so.
    async fn check_instance(&self, clerk: &str) -> Result<(), Stop> {
        match self.mirror.bind(clerk).await {
            Err(error) if error.kind() == MirrorErrorKind::WrongInstance => {
                let mirror = self.mirror.instance_id().unwrap_or("another instance").to_owned();
                Err(Abort::OtherInstance { mirror, clerk: clerk.to_owned() }.into())
            }
            bound => Ok(bound?),
        }
    }
}
