//! The ids of sessions that are still open at Clerk.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::SystemTime;

use super::table::{Item, Table};
use super::{MAX_TEXT, from_millis, millis};
use crate::packed::Packed;
use crate::sync::lock;

pub(super) const DEFAULT_LIMIT: usize = 1_000_000;

/// The future that a [`SessionStore`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Stores the ids of sessions that are open at Clerk, so that they are used again after a restart.
///
/// Opening a session takes a sign-in of a limited budget, while a session that is still open only needs a new token. A
/// session id is not a secret: without the secret key it is of no use. [`MemorySessions`] is the default;
/// [`SessionFile`](crate::store::SessionFile) outlives a restart. Set the store with
/// [`session_store`](crate::ClerkBuilder::session_store).
///
/// # Requirements for implementations
///
/// - There is at most one session per user and organization, and each session id is stored at most once.
/// - No method can fail. If the storage is out of reach, the store returns nothing and stores nothing. This costs
///   another session, but no request fails.
/// - The engine sets no timeout, so a store on another machine must set its own.
pub trait SessionStore: Send + Sync + 'static {
    /// Returns the session of a user that was opened for the organization with this id (`org_…`), or for none.
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>>;

    /// Stores a session, replacing the one of the same user and organization.
    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()>;

    /// Removes exactly this session, whatever organization it was opened for. A session that has replaced it stays.
    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()>;

    /// Removes all sessions of a user, and returns them.
    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>>;

    /// Removes the session with this id, and returns it.
    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>>;

    /// Removes all sessions, and returns them.
    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>>;

    /// Returns whether the stored sessions are available to the next process; the default is `true`.
    ///
    /// If not, [`Clerk::shutdown`](crate::Clerk::shutdown) ends the sessions at Clerk.
    fn outlives_process(&self) -> bool {
        true
    }
}

// The trait must stay usable as `Arc<dyn SessionStore>`.
fn _object_safe(_: &dyn SessionStore) {}

/// A session that is open at Clerk, by its id.
///
/// Times are truncated to the millisecond.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_clerk::store::StoredSession;
///
/// let in_a_week = SystemTime::now() + Duration::from_secs(7 * 24 * 3600);
/// let session = StoredSession::new("user_1", Some("org_1"), "sess_1", in_a_week);
/// assert_eq!(session.organization(), Some("org_1"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// User, session and organization in one allocation, because a store may hold a million of these.
    text: Packed<3>,
    expire_at: u64,
}

impl StoredSession {
    /// Creates a session. `organization` is the id (`org_…`) of the one that it was opened for, or `None`.
    #[must_use]
    pub fn new(user_id: &str, organization: Option<&str>, session_id: &str, expire_at: SystemTime) -> Self {
        let text = Packed::new([Some(user_id), Some(session_id), organization]);
        Self { text, expire_at: millis(expire_at) }
    }

    /// The id of the user, `user_…`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.text.get(0).unwrap_or_default()
    }

    /// The id (`org_…`) of the organization that the session was opened for. `None` is the personal account.
    #[must_use]
    pub fn organization(&self) -> Option<&str> {
        self.text.get(2)
    }

    /// The session's id, `sess_…`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.text.get(1).unwrap_or_default()
    }

    /// When the session expires at Clerk.
    #[must_use]
    pub fn expire_at(&self) -> SystemTime {
        from_millis(self.expire_at)
    }
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession")
            .field("user_id", &self.user_id())
            .field("organization", &self.organization())
            .field("session_id", &self.session_id())
            .field("expire_at", &self.expire_at())
            .finish()
    }
}

/// A [`SessionStore`] in memory.
///
/// It holds 1,000,000 sessions by default, which take about 240 MB. When it is full, the sessions that expire first are
/// removed. [`Clerk::shutdown`](crate::Clerk::shutdown) ends its sessions at Clerk.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::SystemTime;
/// use tower_clerk::store::{MemorySessions, SessionStore, StoredSession};
///
/// let sessions = MemorySessions::default();
/// sessions.put(StoredSession::new("user_1", None, "sess_1", SystemTime::now())).await;
/// assert!(sessions.get("user_1", Some("acme")).await.is_none());
/// assert_eq!(sessions.take_user("user_1").await.len(), 1);
/// # }
/// ```
pub struct MemorySessions(Mutex<Sessions>);

impl MemorySessions {
    /// Creates a store with room for this many sessions instead of 1,000,000.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self(Mutex::new(Sessions::new(limit)))
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = lock(&self.0).0.len();
        f.debug_struct("MemorySessions").field("open", &open).finish_non_exhaustive()
    }
}

impl SessionStore for MemorySessions {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move { lock(&self.0).get(user_id, organization) })
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async move { _ = lock(&self.0).put(session) })
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move { _ = lock(&self.0).remove(user_id, session_id) })
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move { lock(&self.0).take_user(user_id) })
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move { lock(&self.0).take_session(session_id) })
    }

    fn outlives_process(&self) -> bool {
        false
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async move { lock(&self.0).take_all() })
    }
}

/// The common part of both stores. A method that may change nothing returns whether it did.
pub(super) struct Sessions(pub(super) Table<StoredSession>);

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    pub(super) fn get(&self, user_id: &str, organization: Option<&str>) -> Option<StoredSession> {
        self.0.get(self.0.placed(user_id, organization)?).cloned()
    }

    /// Doesn't store a session with too much text. No id from Clerk is that long.
    pub(super) fn put(&mut self, session: StoredSession) -> bool {
        let organization = session.organization();
        let text = session.user_id().len() + session.session_id().len() + organization.map_or(0, str::len);
        if text > MAX_TEXT {
            return false;
        }
        if let Some(older) = self.0.placed(session.user_id(), organization) {
            self.0.take(older);
        }
        self.0.insert(session);
        true
    }

    pub(super) fn remove(&mut self, user_id: &str, session_id: &str) -> bool {
        let Some(at) = self.0.named(session_id) else { return false };
        let is_the_users = self.0.get(at).is_some_and(|session| session.user_id() == user_id);
        is_the_users && self.0.take(at).is_some()
    }

    pub(super) fn take_user(&mut self, user_id: &str) -> Vec<StoredSession> {
        self.0.take_user(user_id)
    }

    pub(super) fn take_session(&mut self, session_id: &str) -> Option<StoredSession> {
        self.0.take(self.0.named(session_id)?)
    }

    pub(super) fn take_all(&mut self) -> Vec<StoredSession> {
        self.0.take_all()
    }

    /// Removes the sessions that have expired by `now`.
    pub(super) fn expire(&mut self, now: SystemTime) {
        let now = millis(now);
        self.0.retain(|session| session.expire_at > now);
    }
}

impl Item for StoredSession {
    fn name(&self) -> &str {
        self.session_id()
    }

    fn user(&self) -> &str {
        self.user_id()
    }

    fn place(&self) -> Option<&str> {
        self.organization()
    }

    fn rank(&self) -> u64 {
        self.expire_at
    }
}
