//! The mirror: Clerk's objects in a database of one's own.

mod apply;
mod builder;
mod client;
mod ensure;
mod event;
mod family;
mod feed;
mod housekeeping;
mod page;
mod quarantine;
mod read_by_id;
mod rows;
mod sink;
mod status;
mod write;

use std::fmt;
use std::sync::{Arc, OnceLock};

use sqlx::AnyPool;
use tokio::sync::{Notify, OnceCell};
use tower_clerk::Clock;
use tower_clerk::backend::BackendClient;

pub use self::builder::MirrorBuilder;
use self::ensure::Ensured;
pub(crate) use self::event::Outcome;
pub use self::feed::{Change, ChangeCause, ChangeKind};
pub use self::quarantine::{Quarantined, Replay};
pub(crate) use self::rows::{Head, Row};
#[cfg(feature = "metrics")]
pub(crate) use self::status::Vitals;
pub use self::status::{Count, Status};
pub(crate) use self::write::{Fence, Write};
#[cfg(test)]
pub(crate) use self::{apply::Written, event::Message, feed::Told, page::Applied, read_by_id::ReadOutcome};
use crate::database::dialect::Dialect;
use crate::error::{MirrorError, MirrorErrorKind};

/// Clerk's users, organizations and memberships in a database of one's own.
///
/// A mirror is an [`EventSink`](tower_clerk::webhook::EventSink) of
/// [`ClerkWebhookService`](tower_clerk::webhook::ClerkWebhookService): each event is applied in a transaction of its own,
/// late, twice or out of order. An application reads the views `clerk_users`, `clerk_organizations` and `clerk_memberships`
/// by its own connection, and follows the changes by [`changes`](Self::changes) or the table `clerk_changes`.
///
/// A clone is cheap, and shares the connections.
///
/// ```no_run
/// use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
/// use tower_clerk_sync::Mirror;
///
/// # async fn example(clerk: tower_clerk::Clerk) -> Result<(), Box<dyn std::error::Error>> {
/// let mirror = Mirror::connect("sqlite://mirror.db").await?;
/// let secrets = WebhookSecrets::from_env()?.ok_or("CLERK_WEBHOOK_SIGNING_SECRET is not set")?;
/// let webhooks = ClerkWebhookService::new(clerk, secrets).sink(mirror.clone());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
    clock: Clock,
}

struct Inner {
    pool: AnyPool,
    dialect: Dialect,
    /// The id of the Clerk instance, once it is known.
    instance: OnceLock<String>,
    /// Whether the database may hold other instances beside it.
    is_named: bool,
    /// Milliseconds.
    deletion_holdback: i64,
    keep_raw: bool,
    client: Option<BackendClient>,
    /// Whether the client's key is of this instance.
    checked: OnceCell<()>,
    /// Whether an event of a user is a hint to read the user.
    refetch: bool,
    ensured: Ensured,
    /// SQLite has one writer at a time. Here they queue in order; at its own lock they would poll.
    #[cfg(feature = "sqlite")]
    turn: Arc<tokio::sync::Mutex<()>>,
    /// There may be changes to give numbers to.
    wake: Arc<Notify>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The housekeeper sees that the mirror is gone.
        self.wake.notify_one();
    }
}

impl Mirror {
    /// Opens the mirror in a database, and creates or updates its tables.
    ///
    /// The address is `sqlite://path` or `postgres://user@host/database`. [`builder`](Self::builder) has more settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is unusable, the database is away, or its tables are newer than this crate.
    pub async fn connect(url: &str) -> Result<Self, MirrorError> {
        Self::builder(url).connect().await
    }

    /// Settings for a mirror in the database with this address.
    pub fn builder(url: impl Into<String>) -> MirrorBuilder {
        MirrorBuilder::new(url.into())
    }

    /// The same mirror by another clock, for tests. The [default](MirrorBuilder::clock) is the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The id of the Clerk instance that is mirrored (`ins_…`), if it is known yet.
    ///
    /// It is that of the [builder](MirrorBuilder::instance), or that of the first event or read.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.inner.instance.get().map(String::as_str)
    }

    /// The time, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        crate::time::millis(self.clock.wall())
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.inner.pool
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// The id of the instance, which an operation needs that isn't told it.
    pub(crate) fn instance(&self) -> Result<&str, MirrorError> {
        self.instance_id().ok_or_else(|| {
            MirrorError::setting(
                "the mirror doesn't know its Clerk instance yet: it is told by the first webhook, or by the instance setting",
            )
        })
    }

    /// Sets the instance if the mirror has none yet.
    pub(crate) async fn bind(&self, instance_id: &str) -> Result<(), MirrorError> {
        if let Some(bound) = self.instance_id() {
            return if bound == instance_id { Ok(()) } else { Err(wrong_instance()) };
        }
        let mut write = self.begin().await?;
        sqlx::query(
            "INSERT INTO clerk_mirror_instances (instance_id, bound_at) VALUES ($1, $2) ON CONFLICT (instance_id) DO NOTHING",
        )
        .bind(instance_id)
        .bind(self.now())
        .execute(write.connection())
        .await?;
        let others: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM clerk_mirror_instances WHERE instance_id <> $1")
                .bind(instance_id)
                .fetch_one(write.connection())
                .await?;
        if others > 0 && !self.inner.is_named {
            return Err(wrong_instance());
        }
        write.commit().await?;
        let bound = self.inner.instance.get_or_init(|| instance_id.to_owned());
        if bound == instance_id { Ok(()) } else { Err(wrong_instance()) }
    }
}

fn wrong_instance() -> MirrorError {
    MirrorError::new(
        MirrorErrorKind::WrongInstance,
        "the mirror is of another Clerk instance: use a database of its own for each, or name the instance",
    )
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("dialect", &self.inner.dialect)
            .field("instance_id", &self.instance_id())
            .finish_non_exhaustive()
    }
}
