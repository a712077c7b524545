//! The store of an engine.

use super::ClerkBuilder;
use crate::store::Store;
#[cfg(feature = "redis")]
use crate::store::StoreKind;

impl ClerkBuilder {
    /// Sets where the engine keeps what outlives the process, or what it shares with other replicas. By default it does
    /// neither. One store can be set.
    ///
    /// With a `SqliteStore` (feature `sqlite`) it keeps proven credentials with their sessions, known devices, and the
    /// sessions of the Backend API. A restart or a deploy then costs no user a sign-in, on either API: the next request of a
    /// user is served by the session from before, for as long as its proof would have lasted. A revocation removes what is
    /// stored, too. The store is opened by [`build`](Self::build). An old and a new process of one deploy may have the same
    /// file open at a time. Engines of different instances share nothing in it.
    ///
    /// With a `RedisStore` (feature `redis`) a revocation in one replica takes effect in all. Nothing is sent by
    /// [`build`](Self::build): a thread connects from then on, until the last clone of the engine is gone.
    ///
    #[cfg_attr(feature = "sqlite", doc = "```no_run")]
    #[cfg_attr(feature = "sqlite", doc = "use tower_clerk::Clerk;")]
    #[cfg_attr(feature = "sqlite", doc = "use tower_clerk::store::SqliteStore;")]
    #[cfg_attr(feature = "sqlite", doc = "")]
    #[cfg_attr(feature = "sqlite", doc = "let clerk = Clerk::builder(\"pk_live_Y2xlcmsuZXhhbXBsZS5jb20k\")")]
    #[cfg_attr(feature = "sqlite", doc = "    .store(SqliteStore::open(\"/var/lib/my-server/clerk.db\")?)")]
    #[cfg_attr(feature = "sqlite", doc = "    .build()?;")]
    #[cfg_attr(feature = "sqlite", doc = "# Ok::<(), Box<dyn std::error::Error>>(())")]
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "redis", feature = "sqlite"))))]
    pub fn store(mut self, store: impl Into<Store>) -> Self {
        match store.into() {
            #[cfg(feature = "redis")]
            Store(StoreKind::Redis(redis)) => self.redis = Some(redis),
            #[cfg(feature = "sqlite")]
            store => self.store = Some(store),
        }
        self
    }
}
