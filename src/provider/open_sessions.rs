//! The stored sessions of the Backend API, which were opened here and are still open at Clerk.
//!
//! Minting for a session takes the secret key, so the session's id alone is no secret. It is stored for the life of the
//! session at Clerk, beyond its first proof and beyond a restart, so that a user costs one sign-in in days. A user's
//! browser sessions are never used.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Taken;
use crate::clerk_api::fapi::SignedIn;
use crate::client_token::ClientSlot;
use crate::clock::ClerkTime;
use crate::sessions::{EndRequest, Session};
use crate::store::{Removed, SessionRecords, StoredSession, Wait, wait_for};

/// A stored session with less time left is replaced by a new one.
const TOO_SHORT: Duration = Duration::from_secs(60);

/// The assumed life of a session for which Clerk names no end: the shortest that an instance can set, five minutes.
const LEAST_LIFE: Duration = Duration::from_secs(5 * 60);

/// How long a request waits for a write, with the reads before it: the store being slow costs at most another session.
const LONGEST_WRITE: Duration = Duration::from_millis(100);

/// See the [module docs](self). Cheap to clone.
#[derive(Clone)]
pub(crate) struct OpenSessions {
    pub(super) store: Arc<SessionRecords>,
    /// The clients of sessions that this process has opened, by session id, so that the Frontend API can mint for them.
    clients: Cache<Box<str>, Arc<ClientSlot>>,
    time: Arc<ClerkTime>,
}

impl OpenSessions {
    pub(crate) fn new(store: Arc<SessionRecords>, max_sessions: u64, time: Arc<ClerkTime>) -> Self {
        let clients =
            Cache::builder().max_capacity(max_sessions).eviction_policy(EvictionPolicy::lru()).build();
        Self { store, clients, time }
    }

    /// The user's session for the organization with this id, or for the personal account.
    pub(super) async fn get(&self, user_id: &str, organization: Option<&str>) -> Option<StoredSession> {
        let stored = self.store.get(user_id, organization).await?;
        let left = stored.expire_at().duration_since(self.time.now()).unwrap_or_default();
        (left > TOO_SHORT).then_some(stored)
    }

    /// Stores a session. A removal that follows is carried out after it. The future resolves when the next look-up finds
    /// the session, or when the store takes too long.
    pub(super) fn put(
        &self,
        signed_in: &SignedIn,
        organization: Option<&str>,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.clients.insert(signed_in.session_id.clone(), Arc::clone(&signed_in.client));
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.now());
        let life = signed_in.expire_at.map_or(LEAST_LIFE, |at| at.duration_since(seen).unwrap_or_default());
        let expire_at: SystemTime = self.time.now() + life;
        let (user_id, session_id) = (&signed_in.user_id, &signed_in.session_id);
        let stored = self.store.put(&StoredSession::new(user_id, organization, session_id, expire_at));
        async move { _ = wait_for(stored, LONGEST_WRITE).await }
    }

    pub(super) fn client(&self, session_id: &str) -> Option<Arc<ClientSlot>> {
        self.clients.get(session_id)
    }

    /// Removes a session from the store, so that no later sign-in gets it.
    pub(super) fn forget(&self, session: &Session) {
        self.remove(&session.id);
    }

    pub(super) fn remove(&self, session_id: &str) {
        self.clients.invalidate(session_id);
        drop(self.store.remove(session_id));
    }

    pub(super) fn forget_clients(&self) {
        self.clients.invalidate_all();
    }

    /// Joins the sessions that `taken` removes from the store with the dropped ones, and forgets their clients.
    pub(super) fn taken(&self, dropped: HashSet<Arc<str>>, taken: Wait<Removed>) -> Taken {
        let clients = self.clients.clone();
        Box::pin(async move {
            let mut ids = dropped;
            ids.extend(taken.await.sessions.iter().map(|stored| Arc::from(stored.session_id())));
            ids.iter().for_each(|id| clients.invalidate(&**id));
            ids.into_iter().map(EndRequest::by_id).collect()
        })
    }
}
