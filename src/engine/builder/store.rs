//! The store of an engine.

use super::ClerkBuilder;
use crate::store::Store;

impl ClerkBuilder {
    /// Sets where the engine keeps what outlives the process: proven credentials with their sessions, known devices, and
    /// the sessions of the Backend API. By default nothing does.
    ///
    /// With a store, a restart or a deploy costs no user a sign-in, on either API: the next request of a user is served
    /// by the session from before, for as long as its proof would have lasted. A revocation removes what is stored, too.
    /// The store is opened by [`build`](Self::build).
    ///
    /// An old and a new process of one deploy may have the same file open at a time. Engines of different instances share
    /// nothing in it.
    ///
    /// ```no_run
    /// use tower_clerk::Clerk;
    /// use tower_clerk::store::SqliteStore;
    ///
    /// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")
    ///     .store(SqliteStore::open("/var/lib/my-server/clerk.db")?)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    pub fn store(mut self, store: impl Into<Store>) -> Self {
        self.store = Some(store.into());
        self
    }
}
