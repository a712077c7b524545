//! As many users as an engine may hold, each with sessions for many organizations (rule K7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tower_clerk::store::{SessionStore, StoreFuture, StoredSession};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser, Fault};
use tower_clerk::{Access, ClerkBuilder, Credentials};

use crate::common::World;

const USERS: usize = 250;

/// With the one for no organization, as many sessions of one user as there can be.
const ORGANIZATIONS: usize = 15;

/// A store that has a session for whatever it is asked for, and counts how often it is.
#[derive(Clone, Default)]
struct Everything(Arc<AtomicUsize>);

impl SessionStore for Everything {
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

/// An engine with that many users, and room for few more credentials.
///
/// The instance mints for none of the sessions. They are opened all the same, and nothing has to be signed, which would
/// take longer than all the rest.
fn world(store: Everything) -> (World, Vec<Credentials>) {
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

/// A session for each organization counts as no credential, so none of them is let go for want of room.
#[tokio::test(start_paused = true)]
async fn k7_all_sessions_of_as_many_users_as_an_engine_may_hold_are_held() {
    let store = Everything::default();
    let looks = Arc::clone(&store.0);
    let (world, users) = world(store);
    let organizations = (0..ORGANIZATIONS).map(|at| Access::new().organization(format!("org_{at}")));
    let kinds: Vec<Access> = std::iter::once(Access::new()).chain(organizations).collect();
    for kind in &kinds {
        for user in &users {
            world.clerk.authenticate(user, kind).await.unwrap_err();
        }
        // So many organizations at once would be too many for a user.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(world.clerk.stats().sessions, USERS as u64, "all credentials are held");
    let looked = looks.load(Ordering::Relaxed);
    assert!(looked >= USERS * kinds.len(), "each session was looked for: {looked}");
    for (kind, user) in kinds.iter().flat_map(|kind| [(kind, &users[0]), (kind, &users[USERS - 1])]) {
        world.clerk.authenticate(user, kind).await.unwrap_err();
    }
    assert_eq!(looks.load(Ordering::Relaxed), looked, "all sessions are held");
}
