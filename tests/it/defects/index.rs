//! D8: what it costs to make a session known by its id, when there are many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser, Fault};
use tower_clerk::{Access, Builder, Credentials, SessionStore, StoreFuture, StoredSession};

use crate::common::World;

const USERS: usize = 250;

/// As many sessions of one user as there can be beside the first.
const ORGANIZATIONS: usize = 16;

/// The rounds of them that are measured: by then there are three times as many sessions as the smaller engine holds
/// credentials for, and more.
const MEASURED: usize = 4;

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

/// An engine that holds so many credentials, and users.
struct Bench {
    world: World,
    users: Vec<Credentials>,
    looks: Arc<AtomicUsize>,
}

impl Bench {
    /// The instance mints for none of the sessions. They are opened all the same, and nothing has to be signed, which
    /// would take longer than all the rest.
    fn new(max_sessions: u64) -> Self {
        let store = Everything::default();
        let looks = Arc::clone(&store.0);
        let rate = (1_000_000, Duration::from_secs(1));
        let engine = |engine: Builder| {
            engine.max_sessions(max_sessions).session_store(store).backend_rate(rate.0, rate.1)
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
        Self { world, users, looks }
    }

    /// One request, which opens a session if there is none yet. Says how long that takes, in real time.
    async fn ask(&self, user: usize, access: &Access) -> Duration {
        let start = Instant::now();
        self.world.clerk.authenticate(&self.users[user], access).await.unwrap_err();
        start.elapsed()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn organization(at: usize) -> Access {
    Access::new().organization(format!("organization-{at}"))
}

/// D8: the index of sessions by id is swept as a whole each time that a session is added, once there are more of them
/// than twice the credentials that an engine may hold, and a thousand.
///
/// Two engines do the same, and differ in nothing but how many credentials they may hold: neither has to let one go. The
/// real time of one request is short against what a busy machine takes away, so the median isn't touched by that.
#[tokio::test(start_paused = true)]
async fn k7_what_it_costs_to_add_a_session_does_not_grow_with_their_number() {
    let benches = [Bench::new(100_000), Bench::new(USERS as u64 + 50)];
    let mut times = [Vec::new(), Vec::new()];
    for user in 0..USERS {
        for bench in &benches {
            bench.ask(user, &Access::new()).await;
        }
    }
    for at in 0..ORGANIZATIONS {
        let access = organization(at);
        for user in 0..USERS {
            for (bench, times) in benches.iter().zip(&mut times) {
                let took = bench.ask(user, &access).await;
                if at >= ORGANIZATIONS - MEASURED {
                    times.push(took);
                }
            }
        }
        // So many organizations at once would be too many for a user.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    for bench in &benches {
        assert_eq!(bench.world.clerk.stats().sessions, USERS as u64, "all credentials are held");
        let looks = bench.looks.load(Ordering::Relaxed);
        bench.ask(0, &organization(0)).await;
        bench.ask(USERS - 1, &organization(ORGANIZATIONS - 1)).await;
        assert_eq!(bench.looks.load(Ordering::Relaxed), looks, "all sessions are held");
    }
    let [large, small] = times.map(median);
    assert!(
        small < 2 * large,
        "D8: a session that was added cost a look at all others: {small:?} where {large:?} is enough"
    );
}
