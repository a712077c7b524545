//! Fills the mirror from Clerk's lists (rule Y5).

use serde::{Deserialize, Serialize};
use tower_clerk::backend::BackendClient;

use crate::error::MirrorError;
use crate::kind::Kind;
use crate::lease::Lease;
use crate::mirror::{Fence, Mirror};
use crate::progress::{Observer, Progress};
use crate::tasks::Task;
use crate::walk::{self, Walk};

/// Fills the mirror with the users, organizations and memberships that Clerk has.
///
/// Mount the [`Mirror`] as the sink of the webhooks first, and then run this once: events that come meanwhile win over
/// older entries of the lists. A run that is stopped goes on where it was when it is run again. It reads at the rate of the client,
/// by default a tenth of the budget of the Backend API.
///
/// ```no_run
/// use tower_clerk_sync::{Backfill, Mirror};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = tower_clerk::backend::BackendClient::from_env()?;
/// let mirror = Mirror::connect("sqlite://mirror.db").await?;
/// let report = Backfill::new(mirror, client).run().await?;
/// println!("{} users", report.users.rows);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Backfill {
    mirror: Mirror,
    client: BackendClient,
    page_size: u32,
    observer: Observer,
}

/// The report of a [`Backfill`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackfillReport {
    /// The instance (`ins_…`).
    pub instance_id: String,
    /// Whether it went on where an earlier run was stopped.
    pub has_resumed: bool,
    /// Users.
    pub users: BackfillCounts,
    /// Organizations.
    pub organizations: BackfillCounts,
    /// Memberships.
    pub memberships: BackfillCounts,
}

/// The part of a [`BackfillReport`] on users, organizations or memberships.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackfillCounts {
    /// Rows in the mirror at the end, without deleted ones.
    pub rows: u64,
    /// Entries that Clerk counted at the end.
    pub at_clerk: u64,
}

/// A position between two pages.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    walk: Walk,
    /// Entries so far of this kind.
    entries: u64,
}

impl Backfill {
    /// A backfill of this mirror.
    pub fn new(mirror: Mirror, client: BackendClient) -> Self {
        Self { mirror, client, page_size: walk::LARGEST_PAGE, observer: Observer::default() }
    }

    /// Sets how many entries are read and written at once, from 1 to 500: by default 500, the most that Clerk gives.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.page_size = entries.clamp(1, walk::LARGEST_PAGE);
        self
    }

    /// Calls the function at each step.
    pub fn on_progress(mut self, observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Fills the mirror.
    ///
    /// Dropping the future stops it at any point. The next run goes on from there, two minutes later at the latest.
    ///
    /// # Errors
    ///
    /// Returns an error if the database or Clerk's API fails, of kind [`WrongInstance`](crate::MirrorErrorKind::WrongInstance) if
    /// the mirror is of another instance than the secret key, and of kind [`Busy`](crate::MirrorErrorKind::Busy) if another run is
    /// under way.
    pub async fn run(&self) -> Result<BackfillReport, MirrorError> {
        let instance = self.client.instance().await?.value.id;
        self.mirror.bind(&instance).await?;
        let lease = Lease::acquire(&self.mirror).await?;
        let done = lease.hold(self.fill(&instance, lease.fence())).await;
        let released = lease.release().await;
        let report = done?;
        released?;
        self.mirror.release_changes().await?;
        Ok(report)
    }

    async fn fill(&self, instance: &str, fence: &Fence) -> Result<BackfillReport, MirrorError> {
        let earlier = self.mirror.load_task::<Position>(Task::BackfillUnderWay).await?;
        let mut report = BackfillReport {
            instance_id: instance.to_owned(),
            has_resumed: earlier.is_some(),
            ..Default::default()
        };
        let mut earlier = earlier.map(|(position, _)| position);
        for kind in Kind::ALL {
            let position = match earlier.take() {
                Some(position) if position.walk.kind() == kind => position,
                // The earlier run was done with this kind.
                Some(position) if position.walk.kind() > kind => {
                    earlier = Some(position);
                    continue;
                }
                _ => Position { walk: Walk::new(kind), entries: 0 },
            };
            self.fill_kind(kind, position, fence).await?;
        }
        for (kind, counts) in [
            (Kind::User, &mut report.users),
            (Kind::Organization, &mut report.organizations),
            (Kind::Membership, &mut report.memberships),
        ] {
            counts.rows = self.mirror.count_live(kind).await?;
            counts.at_clerk = walk::count(&self.client, kind).await?;
        }
        self.mirror.save_task(Task::Backfill, &report, Some(fence)).await?;
        self.mirror.drop_task(Task::BackfillUnderWay, Some(fence)).await?;
        Ok(report)
    }

    async fn fill_kind(&self, kind: Kind, mut position: Position, fence: &Fence) -> Result<(), MirrorError> {
        let of = walk::count(&self.client, kind).await?;
        while let Some(page) = position.walk.next(&self.client, self.page_size).await? {
            let entries: Vec<&str> = page.entries.iter().map(|entry| entry.json.as_str()).collect();
            self.mirror.apply_page(kind, page.read_at, &entries, Some(fence)).await?;
            position.entries += page.new;
            // After the page: a run that is stopped in between applies it again, which changes nothing.
            self.mirror.save_task(Task::BackfillUnderWay, &position, Some(fence)).await?;
            self.observer.tell(Progress::Listed { kind, entries: position.entries, of });
        }
        Ok(())
    }
}
