//! The sessions that were opened with the secret key and are open still.
//!
//! A session's id is no secret where minting for it takes the key. So it is kept for as long as Clerk keeps the session,
//! beyond the proof that it was opened for and beyond a restart, and a sign-in is spent once in days. Only ids that were
//! opened here are used: a browser's session of the same user is the browser's.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Taken;
use super::removals::Removals;
use crate::clerk_api::fapi::SignedIn;
use crate::client_token::ClientSlot;
use crate::clock::ClerkTime;
use crate::sessions::Session;
use crate::store::{SessionStore, StoredSession};

/// A session that ends sooner is replaced.
const TOO_SHORT: Duration = Duration::from_secs(60);

/// What is taken for a session's life where Clerk doesn't say: its shortest setting (five minutes).
const LEAST_LIFE: Duration = Duration::from_secs(5 * 60);

/// See the [module's documentation](self). Cheap to clone.
#[derive(Clone)]
pub(crate) struct OpenSessions {
    pub(super) store: Arc<dyn SessionStore>,
    /// What the store is being told to forget.
    pub(super) removals: Arc<Removals>,
    /// The clients of sessions that this process has opened, by the session's id: bounded like the sessions themselves.
    /// The Frontend API mints for a session as long as its client is known.
    clients: Cache<Box<str>, Arc<ClientSlot>>,
    time: Arc<ClerkTime>,
}

impl OpenSessions {
    pub(crate) fn new(store: Arc<dyn SessionStore>, max_sessions: u64, time: Arc<ClerkTime>) -> Self {
        let clients =
            Cache::builder().max_capacity(max_sessions).eviction_policy(EvictionPolicy::lru()).build();
        Self { store, removals: Arc::default(), clients, time }
    }

    /// The session of a user that was opened for the organization of this id, or for none.
    pub(super) async fn get(&self, user_id: &str, organization: Option<&str>) -> Option<StoredSession> {
        self.removals.settled().await;
        let stored = self.store.get(user_id, organization).await?;
        let left = stored.expire_at().duration_since(self.time.now()).unwrap_or_default();
        (left > TOO_SHORT).then_some(stored)
    }

    pub(super) async fn keep(&self, signed_in: &SignedIn, organization: Option<&str>) {
        self.clients.insert(signed_in.session_id.clone(), Arc::clone(&signed_in.client));
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.now());
        let life = signed_in.expire_at.map_or(LEAST_LIFE, |at| at.duration_since(seen).unwrap_or_default());
        let expire_at: SystemTime = self.time.now() + life;
        let (user_id, session_id) = (&signed_in.user_id, &signed_in.session_id);
        self.store.put(StoredSession::new(user_id, organization, session_id, expire_at)).await;
    }

    /// The client of a session that this process has opened.
    pub(super) fn client(&self, session_id: &str) -> Option<Arc<ClientSlot>> {
        self.clients.get(session_id)
    }

    /// No later sign-in goes on with this session.
    pub(super) async fn forget(&self, session: &Session) {
        self.remove(&session.user.id, &session.id).await;
    }

    pub(super) async fn remove(&self, user_id: &str, session_id: &str) {
        self.clients.invalidate(session_id);
        self.store.remove(user_id, session_id).await;
    }

    pub(super) fn forget_clients(&self) {
        self.clients.invalidate_all();
    }

    /// The ids of sessions to end: those that the store gives up, and those that were in use, since a store may have lost
    /// some.
    pub(super) fn taken(
        &self,
        dropped: HashSet<Arc<str>>,
        taken: impl Future<Output = Vec<StoredSession>> + Send + 'static,
    ) -> Taken {
        let (clients, removal) = (self.clients.clone(), self.removals.begin());
        Box::pin(async move {
            let mut ids = dropped;
            ids.extend(taken.await.iter().map(|stored| Arc::from(stored.session_id())));
            ids.iter().for_each(|id| clients.invalidate(&**id));
            drop(removal);
            ids
        })
    }
}
