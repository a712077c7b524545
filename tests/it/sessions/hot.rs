//! Sessions in use are served from a copy on each thread, and whatever happens to one reaches all copies with the very
//! next request (rule K14).

use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::testing::{Endpoint, Fault};
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, Credentials};

use crate::common::{BOB, CAROL, JANE, Pair, World, ask, basic, me, run_ready_tasks, session};

const SECOND: Duration = Duration::from_secs(1);
/// Enough for the copy of a thread: it is made at the second request.
const REQUESTS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that live as long as a test, as those of a server do, on the clock of its runtime.
struct Threads(Vec<Sender<Job>>);

impl Threads {
    fn start() -> Self {
        let runtime = Handle::current();
        let start = |_| {
            let (jobs, received) = channel::<Job>();
            let runtime = runtime.clone();
            thread::spawn(move || {
                let _entered = runtime.enter();
                received.into_iter().for_each(|job| job());
            });
            jobs
        };
        Self((0..3).map(start).collect())
    }

    /// The sessions that each thread gets for one request after another, until all have been served.
    fn hits(&self, layer: &ClerkBasicAuthLayer, pair: Pair, requests: usize) -> Vec<Option<ClerkSession>> {
        let (done, sessions) = channel();
        for thread in &self.0 {
            let (layer, done) = (layer.clone(), done.clone());
            let job = move || (0..requests).for_each(|_| done.send(hit(&layer, pair)).unwrap());
            thread.send(Box::new(job)).unwrap();
        }
        drop(done);
        sessions.into_iter().collect()
    }

    /// Makes each thread serve this credential from a copy of its own.
    fn warm(&self, layer: &ClerkBasicAuthLayer, pair: Pair) {
        assert!(self.hits(layer, pair, REQUESTS).iter().all(Option::is_some), "{pair:?} isn't in the cache");
    }

    fn assert_none_is_served(&self, layer: &ClerkBasicAuthLayer, pair: Pair, why: &str) {
        assert!(self.hits(layer, pair, 1).iter().all(Option::is_none), "{why}: a thread serves a copy");
    }
}

/// The session of a request that is served from memory. The future is dropped if it would have to wait.
fn hit(layer: &ClerkBasicAuthLayer, pair: Pair) -> Option<ClerkSession> {
    let answer = pin!(layer.layer(service_fn(me)).oneshot(basic(pair)));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(session(&answer.unwrap()).clone()),
        Poll::Pending => None,
    }
}

/// A world in which no pause and no limit keeps a sign-in from starting at once.
fn world() -> World {
    World::with(|fake| fake.no_rate_limit(), |engine| engine.unlimited_sign_ins().session_ttl(900 * SECOND))
}

fn step(time: Duration) -> impl Future<Output = ()> {
    tokio::time::advance(time)
}

/// Changes something about the session.
type Change = fn(&World, &ClerkSession);

#[tokio::test(start_paused = true)]
async fn k14_every_end_of_a_session_reaches_the_copies_of_all_threads() {
    let ends: [(&str, Change); 5] = [
        ("revoke_user", |world, jane| world.clerk.revoke_user(jane.user_id())),
        ("revoke_session", |world, jane| world.clerk.revoke_session(jane.session_id())),
        ("drop_session", |world, jane| world.clerk.drop_session(jane.session_id())),
        ("expire_proofs", |world, jane| world.clerk.expire_proofs(jane.user_id(), world.clock.wall())),
        ("revoke_all", |world, _| world.clerk.revoke_all()),
    ];
    for (name, end) in ends {
        let (world, threads) = (world(), Threads::start());
        let layer = world.layer();
        let jane = session(&world.get(JANE).await).clone();
        // A proof and a change within the same two seconds are not told apart.
        step(5 * SECOND).await;
        threads.warm(&layer, JANE);
        end(&world, &jane);
        threads.assert_none_is_served(&layer, JANE, name);
    }
}

#[tokio::test(start_paused = true)]
async fn k14_a_sign_out_and_a_shutdown_reach_the_copies_of_all_threads() {
    for is_sign_out in [true, false] {
        let (world, threads) = (world(), Threads::start());
        let layer = world.layer();
        assert_eq!(world.get(JANE).await.status(), 200);
        threads.warm(&layer, JANE);
        if is_sign_out {
            world.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
        } else {
            world.clerk.shutdown(SECOND).await;
        }
        threads.assert_none_is_served(&layer, JANE, "a sign-out or a shutdown");
    }
}

#[tokio::test(start_paused = true)]
async fn k14_a_token_that_is_dropped_is_not_served_by_a_copy() {
    let drops: [(&str, Change); 3] = [
        ("revoke_organization", |world, jane| {
            world.clerk.revoke_organization(jane.organization().unwrap().id());
        }),
        ("revoke_membership", |world, jane| {
            world.clerk.revoke_membership(jane.user_id(), jane.organization().unwrap().id());
        }),
        ("drop_session_tokens", |world, jane| world.clerk.drop_session_tokens(jane.session_id())),
    ];
    for (name, drop) in drops {
        let (world, threads) = (world(), Threads::start());
        let (plain, layer) = (world.layer(), world.layer().organization("acme").unwrap());
        assert_eq!(world.get(JANE).await.status(), 200);
        let jane = session(&ask(&layer, basic(JANE)).await).clone();
        threads.warm(&layer, JANE);
        drop(&world, &jane);
        threads.assert_none_is_served(&layer, JANE, name);
        let keeps_plain = name != "drop_session_tokens";
        assert!(threads.hits(&plain, JANE, 1).iter().all(|hit| hit.is_some() == keeps_plain), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn k14_a_renewal_is_started_on_time_by_one_thread_and_its_token_reaches_all() {
    let (world, threads) = (world(), Threads::start());
    let layer = world.layer();
    let first = session(&world.get(JANE).await).token().to_owned();
    let mut renewed = false;
    for quarter in 0..190 {
        threads.warm(&layer, JANE);
        run_ready_tasks().await;
        let hits = threads.hits(&layer, JANE, 1);
        let old = hits.iter().flatten().filter(|it| it.token() == first).count();
        assert!(old == 0 || old == hits.len(), "threads serve different tokens after {quarter} quarters");
        renewed |= old == 0;
        // Three quarters of a minute at the latest.
        assert!(renewed || quarter < 4 * 45, "the renewal is late");
        step(SECOND / 4).await;
    }
    assert!(renewed);
    assert_eq!(world.fake.count(Endpoint::Tokens), 1, "one renewal for all threads");
}

#[tokio::test(start_paused = true)]
async fn k14_a_renewed_proof_shows_on_all_threads_with_the_next_request() {
    let (world, threads) = (world(), Threads::start());
    let layer = world.layer();
    let first = session(&world.get(JANE).await).proven_at().unwrap();
    while world.fake.count(Endpoint::SignIns) < 2 {
        threads.warm(&layer, JANE);
        run_ready_tasks().await;
        step(5 * SECOND).await;
        assert!(world.clock.now() - first < 900 * SECOND, "no request has renewed the proof");
    }
    run_ready_tasks().await;
    let proven = threads.hits(&layer, JANE, 1).into_iter().map(|hit| hit.unwrap().proven_at().unwrap());
    assert!(proven.clone().all(|at| at > first), "{:?} and {first:?}", proven.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn k14_layers_with_different_accesses_get_their_own_tokens_from_copies() {
    let (world, threads) = (world(), Threads::start());
    let (plain, acme) = (world.layer(), world.layer().organization("acme").unwrap());
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(ask(&acme, basic(JANE)).await.status(), 200);
    for _ in 0..20 {
        for (layer, organization) in [(&plain, None), (&acme, Some("acme"))] {
            for hit in threads.hits(layer, JANE, 2) {
                assert_eq!(hit.unwrap().organization().and_then(|it| it.slug()), organization);
            }
        }
        step(SECOND / 3).await;
    }
}

/// The answer to a request that comes a while after the sign-in, on a fresh instance where neither token nor proof can
/// be renewed: whether it is a hit, and how many renewals of either kind have begun. In between, every thread makes a copy
/// half a second before, or none does.
async fn at(
    time: Duration,
    has_copies: bool,
    layer: fn(&World) -> ClerkBasicAuthLayer,
) -> (bool, usize, usize) {
    let (world, threads) = (world(), Threads::start());
    let layer = layer(&world);
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    let before = [Endpoint::Tokens, Endpoint::SignIns].map(|endpoint| world.fake.count(endpoint));
    for endpoint in [Endpoint::Tokens, Endpoint::SignIns] {
        world.fake.script_always(endpoint, Fault::Status(503));
    }
    step(time - SECOND / 2).await;
    if has_copies {
        threads.hits(&layer, JANE, REQUESTS);
    }
    run_ready_tasks().await;
    step(SECOND / 2).await;
    let hits = threads.hits(&layer, JANE, 1);
    assert!(hits.iter().all(|hit| hit.is_some() == hits[0].is_some()), "threads differ at {time:?}");
    run_ready_tasks().await;
    let renewals = |at: usize, endpoint| world.fake.count(endpoint) - before[at];
    (hits[0].is_some(), renewals(0, Endpoint::Tokens), renewals(1, Endpoint::SignIns))
}

/// The times from one to another, every fifth of a second.
fn around(from: Duration, until: Duration) -> impl Iterator<Item = Duration> {
    (0..).map(move |at| from + at * SECOND / 5).take_while(move |time| *time <= until)
}

#[tokio::test(start_paused = true)]
async fn k14_a_renewal_begins_on_time_where_copies_serve() {
    let mut seen = Vec::new();
    for time in around(40 * SECOND, 46 * SECOND) {
        let (with, without) = (at(time, true, World::layer).await, at(time, false, World::layer).await);
        assert_eq!(with, without, "with copies and without, after {time:?}");
        seen.push(without);
    }
    assert_eq!((seen[0], seen[seen.len() - 1]), ((true, 0, 0), (true, 1, 0)), "the renewal of the token");
}

#[tokio::test(start_paused = true)]
async fn k14_a_copy_serves_no_token_with_less_life_left_than_its_layer_asks_for() {
    let long = |world: &World| world.layer().min_token_lifetime(30 * SECOND);
    for (layer, end) in [(World::layer as fn(&World) -> _, 49 * SECOND), (long, 29 * SECOND)] {
        let mut seen = Vec::new();
        for time in around(end - SECOND, end + 2 * SECOND) {
            let (with, without) = (at(time, true, layer).await.0, at(time, false, layer).await.0);
            assert_eq!(with, without, "with copies and without, after {time:?}");
            seen.push(without);
        }
        assert!(seen[0] && !seen[seen.len() - 1], "the token no longer serves in between");
    }
}

#[tokio::test(start_paused = true)]
async fn k14_a_copy_ends_with_its_proof() {
    let world = World::with(
        |fake| fake.no_rate_limit().token_life(3_600 * SECOND),
        |engine| engine.unlimited_sign_ins().session_ttl(900 * SECOND),
    );
    let (layer, threads) = (world.layer(), Threads::start());
    let proven = session(&world.get(JANE).await).proven_at().unwrap();
    // No renewal of the proof succeeds from now on.
    world.fake.script_always(Endpoint::SignIns, Fault::Status(503));
    let mut last = proven;
    loop {
        let hits = threads.hits(&layer, JANE, REQUESTS);
        if hits.iter().any(Option::is_none) {
            assert!(hits.iter().all(Option::is_none), "a thread still serves a copy");
            break;
        }
        last = world.clock.now();
        step(SECOND / 4).await;
    }
    let life = last - proven;
    assert!((800 * SECOND..=900 * SECOND).contains(&life), "{life:?}");
}

#[tokio::test(start_paused = true)]
async fn k14_an_evicted_session_is_served_by_no_copy() {
    let world =
        World::with(|fake| fake.no_rate_limit(), |engine| engine.unlimited_sign_ins().max_sessions(2));
    let (layer, threads) = (world.layer(), Threads::start());
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200);
    threads.warm(&layer, BOB);
    threads.warm(&layer, JANE);
    assert_eq!(world.get(CAROL).await.status(), 200);
    threads.assert_none_is_served(&layer, BOB, "an eviction");
    threads.warm(&layer, JANE);
}

#[tokio::test(start_paused = true)]
async fn k14_a_session_that_copies_serve_is_not_evicted_as_one_that_was_used_long_ago() {
    let world =
        World::with(|fake| fake.no_rate_limit(), |engine| engine.unlimited_sign_ins().max_sessions(2));
    let (layer, threads) = (world.layer(), Threads::start());
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200);
    for tenth in 0..30 {
        threads.warm(&layer, JANE);
        if tenth == 15 {
            assert!(hit(&layer, BOB).is_some());
        }
        step(SECOND / 10).await;
    }
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert!(hit(&layer, BOB).is_none(), "the one that was used last was evicted");
    threads.warm(&layer, JANE);
}
