//! The settings of a mirror.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};
use tower_clerk::Clock;
use tower_clerk::backend::BackendClient;

use super::ensure::Ensured;
use super::{Inner, Mirror, housekeeping};
use crate::database::dialect::Dialect;
use crate::database::{connect, migrations};
use crate::error::MirrorError;

/// The settings of a [`Mirror`]. Comes from [`Mirror::builder`].
#[must_use]
pub struct MirrorBuilder {
    url: String,
    instance: Option<String>,
    client: Option<BackendClient>,
    refetch: bool,
    deletion_holdback: Duration,
    keep_raw: bool,
    max_connections: u32,
    acquire_timeout: Duration,
    migrate: bool,
    clock: Clock,
}

impl MirrorBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            instance: None,
            client: None,
            refetch: false,
            deletion_holdback: Duration::ZERO,
            keep_raw: false,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            migrate: true,
            clock: Clock::system(),
        }
    }

    /// The id of the Clerk instance (`ins_…`).
    ///
    /// By default it is the one that the database holds already, or that of the first event. Set it where a database holds
    /// several instances, or where the first event can't be trusted to be of the right one.
    pub fn instance(mut self, id: impl Into<String>) -> Self {
        self.instance = Some(id.into());
        self
    }

    /// The client of Clerk's Backend API, which [`ensure_user`](Mirror::ensure_user), [`refetch`](Self::refetch) and
    /// [`replay`](Mirror::replay) need. [`Clerk::backend`](tower_clerk::Clerk::backend) returns that of an engine. Default: none.
    pub fn client(mut self, client: BackendClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Takes the event of a user for a hint, and reads the user from Clerk. Default: off.
    ///
    /// The mirror then follows Clerk even where an event shows less than a read does. It costs a call of the Backend API for
    /// each event, and while Clerk's API is away, events are answered 503 and come again.
    pub fn refetch(mut self, yes: bool) -> Self {
        self.refetch = yes;
        self
    }

    /// How long a deletion is held back from the change feed. Default: not at all.
    ///
    /// The row is erased and gone from the views at once. But followers of the feed may do what can't be undone, such as
    /// closing accounts elsewhere, and a deletion that Clerk revokes within this time is never told to them.
    pub fn deletion_holdback(mut self, holdback: Duration) -> Self {
        self.deletion_holdback = holdback;
        self
    }

    /// Keeps each object as Clerk sent it, in the column `raw`. Default: off.
    ///
    /// It holds more personal data than the columns, `unsafe_metadata` included, and is as of the last change that was
    /// applied. `private_metadata` is never part of it.
    pub fn keep_raw(mut self, yes: bool) -> Self {
        self.keep_raw = yes;
        self
    }

    /// The most connections to the database. Default: 10.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long an operation waits for a connection, when all are in use or the database is away. Default: 5 s.
    ///
    /// Clerk's sender waits 15 s for the answer to an event.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// Whether the tables are created and updated. Default: yes.
    ///
    /// Set it to `false` where the program's role in the database may not do that; `clerk-sync migrate` then does.
    pub fn migrate(mut self, yes: bool) -> Self {
        self.migrate = yes;
        self
    }

    /// The clock, for tests. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the mirror.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is unusable, the database is away, or its tables are newer than this crate, or
    /// older and not to be updated.
    pub async fn connect(self) -> Result<Mirror, MirrorError> {
        let dialect = Dialect::of(&self.url)?;
        if self.max_connections == 0 {
            return Err(MirrorError::setting("a mirror needs at least one connection"));
        }
        if self.refetch && self.client.is_none() {
            return Err(MirrorError::setting(
                "to read users again, the mirror needs a client of Clerk's Backend API",
            ));
        }
        let pool = connect::open(&self.url, dialect, self.max_connections, self.acquire_timeout).await?;
        if self.migrate {
            migrations::migrate(&pool, dialect).await?;
        } else {
            migrations::check(&pool, dialect).await?;
        }
        let inner = Inner {
            pool,
            dialect,
            instance: OnceLock::new(),
            is_named: self.instance.is_some(),
            client: self.client,
            checked: OnceCell::new(),
            refetch: self.refetch,
            ensured: Ensured::default(),
            deletion_holdback: i64::try_from(self.deletion_holdback.as_millis()).unwrap_or(i64::MAX / 2),
            keep_raw: self.keep_raw,
            #[cfg(feature = "sqlite")]
            turn: Arc::default(),
            wake: Arc::new(Notify::new()),
        };
        let mirror = Mirror { inner: Arc::new(inner), clock: self.clock };
        match self.instance {
            Some(instance) => mirror.bind(&instance).await?,
            None => mirror.bind_to_held().await?,
        }
        housekeeping::start(&mirror);
        Ok(mirror)
    }
}

impl Mirror {
    /// Binds the mirror to the instance that the database holds, if there is one.
    async fn bind_to_held(&self) -> Result<(), MirrorError> {
        let held: Vec<String> = sqlx::query_scalar("SELECT instance_id FROM clerk_mirror_instances")
            .fetch_all(self.pool())
            .await?;
        match held.as_slice() {
            [] => Ok(()),
            [instance] => self.bind(instance).await,
            _ => Err(MirrorError::setting(
                "the database holds several Clerk instances: name the one that is meant",
            )),
        }
    }
}

// Without the address, which may hold a password.
impl fmt::Debug for MirrorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorBuilder")
            .field("instance", &self.instance)
            .field("has_client", &self.client.is_some())
            .field("refetch", &self.refetch)
            .field("deletion_holdback", &self.deletion_holdback)
            .field("keep_raw", &self.keep_raw)
            .field("max_connections", &self.max_connections)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}
