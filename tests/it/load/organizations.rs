//! An engine filled with users, each with sessions for many organizations (rule K7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tower_clerk::store::{SessionStore, StoreFuture, StoredSession};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser, Fault};
use tower_clerk::{Access, ClerkBuilder, Credentials};

use crate::common::World;

const USERS: usize = 250;

/// Together with the session for the personal account, the most sessions that an engine holds for one user.
const ORGANIZATIONS: usize = 15;

/// A store that returns a session for every user and organization, and counts its look-ups.
#[derive(Clone, Default)]
struct FullStore(Arc<AtomicUsize>);

impl SessionStore for FullStore {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let id = format!("sess_{user_id}_{}", organization.unwrap_or_default());
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let session = StoredSession::new(user_id, organization, &id, end);
        Box::pin(async { Some(session) })
    }

    fn put(&self, _: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async {})
    }

    fn remove<'a>(&'a self, _: &'a str, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async {})
    }

    fn take_user<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }

    fn take_session<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async { None })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }
}

/// Returns an engine with room for [`USERS`] credentials and few more, and the credentials.
///
/// The instance mints no tokens. The sessions are used nevertheless, and the test saves the time to sign tokens.
fn world(store: FullStore) -> (World, Vec<Credentials>) {
    let engine = |engine: ClerkBuilder| {
        let engine = engine.max_sessions(USERS as u64 + 50).session_store(store);
        engine.backend_rate(1_000_000, Duration::from_secs(1))
    };
    let world = World::backend_with(FakeClerkBuilder::no_rate_limit, engine);
    let unknown = Fault::StatusWithCode(418, "nobody_knows_this".to_owned());
    world.fake.script_always(Endpoint::BackendTokens, unknown);
    let users = (0..USERS).map(|at| {
        let (name, password) = (format!("user{at}@example.com"), format!("the password of {at}"));
        world.fake.add_user(FakeUser::new(&name).password(&password));
        Credentials::new(name, password).unwrap()
    });
    let users = users.collect();
    (world, users)
}

/// Sessions for organizations do not count towards the limit of credentials, so none of them is evicted.
#[tokio::test(start_paused = true)]
async fn k7_a_full_engine_holds_every_organization_session() {
    let store = FullStore::default();
    let lookups = Arc::clone(&store.0);
    let (world, users) = world(store);
    let organizations = (0..ORGANIZATIONS).map(|at| Access::new().organization(format!("org_{at}")));
    let accesses: Vec<Access> = std::iter::once(Access::new()).chain(organizations).collect();
    for access in &accesses {
        for user in &users {
            world.clerk.authenticate(user, access).await.unwrap_err();
        }
        // Spreads the organizations over time, since the number per user and time is limited.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(world.clerk.stats().sessions, USERS as u64, "all credentials are held");
    let looked_up = lookups.load(Ordering::Relaxed);
    assert!(looked_up >= USERS * accesses.len(), "each session was looked up: {looked_up}");
    for (access, user) in
        accesses.iter().flat_map(|access| [(access, &users[0]), (access, &users[USERS - 1])])
    {
        world.clerk.authenticate(user, access).await.unwrap_err();
    }
    assert_eq!(lookups.load(Ordering::Relaxed), looked_up, "all sessions are held");
}
