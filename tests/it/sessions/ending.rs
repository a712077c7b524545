//! The engine leaves no session open at Clerk and no task running (rule K10).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, ask, basic, code, run_ready_tasks, session};
use crate::crowd::{add_users, request_as};
use http::Response;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_clerk::testing::{Endpoint, Fault};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(15 * 60);

fn world() -> World {
    World::with(|fake| fake.token_life(TTL), |engine| engine.session_ttl(TTL))
}

fn spawn(world: &World, pair: Pair) -> JoinHandle<Response<String>> {
    let layer = world.layer();
    tokio::spawn(async move { ask(&layer, basic(pair)).await })
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// An engine without a sign-in budget, with `count` users signed in.
async fn crowded(count: usize) -> World {
    let world = World::with(
        |fake| fake.no_rate_limit().token_life(TTL),
        |engine| engine.unlimited_sign_ins().session_ttl(TTL),
    );
    for user in add_users(&world.fake, count) {
        assert_eq!(request_as(&world, &user).await.status(), 200);
    }
    assert_eq!(world.fake.live_sessions(), count);
    world
}

#[tokio::test(start_paused = true)]
async fn k10_a_proof_that_ends_on_an_idle_server_ends_its_session_on_time() {
    let world = world();
    world.get(JANE).await;
    tokio::time::sleep(MINUTE).await;
    world.get(BOB).await;
    tokio::time::sleep(TTL - MINUTE + SECOND).await;
    assert_eq!((world.fake.live_sessions_of("jane"), world.fake.live_sessions_of("bob")), (0, 1));
    tokio::time::sleep(MINUTE).await;
    assert_eq!((world.fake.live_sessions(), world.clerk.stats().sessions), (0, 0));
    assert_eq!(world.fake.count(Endpoint::End), 2, "each session is ended once");
}

#[tokio::test(start_paused = true)]
async fn k10_an_evicted_session_is_ended_at_once_on_an_idle_server() {
    let world = World::with(|fake| fake, |engine| engine.max_sessions(2));
    world.get(JANE).await;
    world.get(BOB).await;
    world.get(JANE).await;
    let carol = world.get(CAROL).await;
    assert_eq!(carol.status(), 200, "the newest session is never evicted");
    tokio::time::sleep(SECOND).await;
    let live = ["jane", "bob", "carol@example.com"].map(|user| world.fake.live_sessions_of(user));
    assert_eq!(live, [1, 0, 1], "the least recently used session was evicted");
    assert_eq!(session(&world.get(CAROL).await).session_id(), session(&carol).session_id());
}

#[tokio::test(start_paused = true)]
async fn k10_a_replaced_session_is_ended() {
    let world = world();
    let first = world.get(JANE).await;
    tokio::time::sleep(TTL.mul_f64(0.905)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(SECOND).await;
    let second = world.get(JANE).await;
    assert_ne!(session(&first).session_id(), session(&second).session_id());
    assert_eq!(world.fake.live_sessions(), 1);
    // Ending the first session must not end its replacement.
    tokio::time::sleep(TTL.mul_f64(0.1)).await;
    assert_eq!(session(&world.get(JANE).await).session_id(), session(&second).session_id());
    assert_eq!(world.fake.count(Endpoint::End), 1);
}

#[tokio::test(start_paused = true)]
async fn k10_sessions_are_ended_at_a_bounded_rate() {
    let world = crowded(300).await;
    world.fake.clear_log();
    world.clerk.revoke_all();
    assert_eq!(world.clerk.stats().sessions, 0);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((world.fake.live_sessions(), world.clerk.stats().ending), (0, 0));
    assert_eq!(world.fake.count(Endpoint::End), 300);
    assert!(world.fake.max_in_window(Endpoint::End, SECOND) <= 51);
}

#[tokio::test(start_paused = true)]
async fn k10_at_most_eight_ends_hang_at_once_and_delay_no_request() {
    let world = crowded(40).await;
    let hold = world.fake.hold(Endpoint::End);
    world.clerk.revoke_all();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(hold.waiting(), 8);
    let start = Instant::now();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(start.elapsed(), Duration::ZERO);
    hold.release();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn k10_a_429_for_an_end_pauses_the_ends_that_follow() {
    let world = crowded(20).await;
    let retry_after = tower_clerk::testing::RetryAfter::Seconds(30);
    world.fake.script(Endpoint::End, Fault::RateLimited { retry_after });
    world.fake.clear_log();
    world.clerk.revoke_all();
    tokio::time::sleep(29 * SECOND).await;
    assert!(world.fake.count(Endpoint::End) <= 2, "{}", world.fake.count(Endpoint::End));
    tokio::time::sleep(10 * SECOND).await;
    assert!(world.fake.live_sessions() <= 1);
}

#[tokio::test(start_paused = true)]
async fn k10_shutdown_ends_all_sessions_and_rejects_later_requests() {
    let world = crowded(200).await;
    let start = Instant::now();
    assert_eq!(world.clerk.shutdown(10 * SECOND).await, 0);
    assert!(start.elapsed() <= SECOND);
    assert_eq!(world.fake.live_sessions(), 0);
    let response = world.get(JANE).await;
    assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_unavailable"));
    assert_eq!(world.fake.live_sessions(), 0);
    // A second shutdown is harmless.
    assert_eq!(world.clerk.shutdown(SECOND).await, 0);
}

#[tokio::test(start_paused = true)]
async fn k10_shutdown_waits_for_ends_in_flight() {
    let world = crowded(60).await;
    world.clerk.revoke_all();
    assert_eq!(world.clerk.shutdown(10 * SECOND).await, 0);
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn k10_shutdown_meets_its_deadline_when_clerk_hangs() {
    for in_flight in [false, true] {
        let world = crowded(100).await;
        world.fake.script_always(Endpoint::End, Fault::Hang);
        if in_flight {
            world.clerk.revoke_all();
        }
        let start = Instant::now();
        let left = world.clerk.shutdown(3 * SECOND).await;
        assert_eq!(start.elapsed(), 3 * SECOND);
        assert_eq!(left, 100, "shutdown returns the number of sessions that it did not end");
        assert_eq!(world.fake.live_sessions(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn k10_shutdown_ends_the_session_of_a_sign_in_in_flight() {
    let world = world();
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let (jane, bob) = (spawn(&world, JANE), spawn(&world, BOB));
    hold.arrived(2).await;
    bob.abort();
    let clerk = world.clerk.clone();
    let shutdown = tokio::spawn(async move { clerk.shutdown(10 * SECOND).await });
    tokio::time::sleep(SECOND).await;
    assert!(!shutdown.is_finished(), "shutdown waits for sign-ins in flight");
    hold.release();
    assert_eq!(shutdown.await.unwrap(), 0);
    assert_eq!(world.fake.live_sessions(), 0);
    assert_eq!(jane.await.unwrap().status(), 503);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2, "no sign-in starts after shutdown");
}

#[tokio::test(start_paused = true)]
async fn k10_a_queued_sign_in_never_starts_after_a_shutdown() {
    let world = world();
    let tasks: Vec<_> = add_users(&world.fake, 9)
        .into_iter()
        .map(|user| {
            let world = world.clone();
            tokio::spawn(async move { request_as(&world, &user).await.status().as_u16() })
        })
        .collect();
    run_ready_tasks().await;
    let asked = world.fake.count(Endpoint::SignIns);
    let start = Instant::now();
    assert_eq!(world.clerk.shutdown(20 * SECOND).await, 0);
    assert!(start.elapsed() <= SECOND, "shutdown does not wait for unused permits: {:?}", start.elapsed());
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 4, "{statuses:?}");
    tokio::time::sleep(MINUTE).await;
    assert_eq!((world.fake.count(Endpoint::SignIns), world.fake.live_sessions()), (asked, 0));
}

#[tokio::test(start_paused = true)]
async fn k10_an_engine_dropped_without_a_shutdown_leaves_no_task_behind() {
    let before = alive();
    for clerk_hangs in [false, true] {
        let world = World::with(
            |fake| fake.no_rate_limit(),
            |engine| engine.session_ttl(TTL).sign_in_rate(5, 10 * SECOND).keep_warm(10 * MINUTE),
        );
        for pair in [JANE, BOB] {
            assert_eq!(world.get(pair).await.status(), 200);
        }
        world.clerk.revoke_all();
        assert_eq!(world.get(JANE).await.status(), 200);
        if clerk_hangs {
            world.fake.script_always(Endpoint::Any, Fault::Hang);
            world.clerk.revoke_all();
            // One sign-in has started; the others wait for permits.
            let waiting: Vec<_> = add_users(&world.fake, 8)
                .into_iter()
                .map(|user| {
                    let world = world.clone();
                    tokio::spawn(async move { request_as(&world, &user).await.status() })
                })
                .collect();
            tokio::time::sleep(SECOND).await;
            waiting.iter().for_each(JoinHandle::abort);
        }
        assert!(alive() > before);
        drop(world);
        // Calls in flight run to their deadline.
        tokio::time::sleep(MINUTE).await;
        assert_eq!(alive(), before, "clerk_hangs: {clerk_hangs}");
    }
}

/// `sign_out` has told the caller that the session is over, so the renewal must not leave another one open.
#[tokio::test(start_paused = true)]
async fn k10_a_proof_renewal_in_flight_during_a_sign_out_leaves_no_session() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(TTL));
    world.get(JANE).await;
    tokio::time::advance(TTL.mul_f64(0.905)).await;
    world.get(JANE).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    world.get(JANE).await;
    crate::common::in_time(hold.arrived(1)).await;
    let renewed = world.fake.sessions().last().unwrap().id().to_owned();
    let credentials = tower_clerk::Credentials::new(JANE.0, JANE.1).unwrap();
    world.clerk.sign_out(&credentials).await.unwrap();
    hold.release();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!((world.clerk.stats().sessions, world.fake.live_sessions()), (0, 0));
    assert_ne!(session(&world.get(JANE).await).session_id(), renewed);
}
