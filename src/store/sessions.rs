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

/// Sessions at most, where nothing else is said.
pub(super) const DEFAULT_LIMIT: usize = 1_000_000;

/// What a [`SessionStore`] answers with, in time.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the ids of sessions that are open at Clerk, so that a restart goes on with them.
///
/// Opening a session costs a call of a limited budget; one that is still open needs only a token. An id is no secret and
/// opens nothing by itself. [`MemorySessions`] is the default, [`SessionFile`](crate::store::SessionFile) outlives a restart.
///
/// # What an implementation must keep to
///
/// There is one session per user and organization, and each session id is there once. Nothing fails: a store that is
/// out of reach finds nothing and keeps nothing, which costs a session more and no request. The caller sets no deadline,
/// so one that asks another machine sets its own.
pub trait SessionStore: Send + Sync + 'static {
    /// The session of a user that was opened for this organization, or for none.
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>>;

    /// Keeps a session, in the place of the one of the same user and organization.
    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()>;

    /// Forgets this very session, whatever organization it was opened for; one that has taken its place stays.
    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()>;

    /// Forgets all sessions of a user, and returns them.
    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>>;

    /// Forgets the session of this id, and returns it.
    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>>;

    /// Forgets everything, and returns it.
    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>>;

    /// Whether what is kept is there for the next process. If not, [`Clerk::shutdown`](crate::Clerk::shutdown) ends the
    /// sessions at Clerk.
    fn outlives_process(&self) -> bool {
        true
    }
}

// The trait must stay usable as `Arc<dyn SessionStore>`.
fn _object_safe(_: &dyn SessionStore) {}

/// A session that is open at Clerk, by its id.
///
/// Times are kept to the millisecond.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_clerk::store::StoredSession;
///
/// let in_a_week = SystemTime::now() + Duration::from_secs(7 * 24 * 3600);
/// let session = StoredSession::new("user_1", Some("acme"), "sess_1", in_a_week);
/// assert_eq!(session.organization(), Some("acme"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// User, session, organization: one allocation, because a million are held.
    text: Packed<3>,
    expire_at: u64,
}

impl StoredSession {
    /// A session, with the organization that it was opened for as it was asked for: by id or by slug.
    #[must_use]
    pub fn new(user_id: &str, organization: Option<&str>, session_id: &str, expire_at: SystemTime) -> Self {
        let text = Packed::new([Some(user_id), Some(session_id), organization]);
        Self { text, expire_at: millis(expire_at) }
    }

    /// The id of the user whose session it is.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.text.get(0).unwrap_or_default()
    }

    /// The organization that it was opened for, as it was asked for.
    #[must_use]
    pub fn organization(&self) -> Option<&str> {
        self.text.get(2)
    }

    /// The session's id, `sess_…`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.text.get(1).unwrap_or_default()
    }

    /// When it ends at Clerk.
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

/// Sessions in memory, gone with the process.
///
/// Bounded: the ones nearest their end make room. A million take some 240 MB.
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
    /// Keeps at most so many sessions; the default is 1,000,000.
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

/// What both stores do. Whatever may change nothing says whether it did.
pub(super) struct Sessions(pub(super) Table<StoredSession>);

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    pub(super) fn get(&self, user_id: &str, organization: Option<&str>) -> Option<StoredSession> {
        self.0.get(self.0.placed(user_id, organization)?).cloned()
    }

    /// One that is too large is not kept: no id of Clerk's is.
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

    /// Forgets what has ended by then.
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
