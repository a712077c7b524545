//! What requests wait for, and how long.
//!
//! A request waits for its turn at most `sign_in_wait` (rule P1), and once it has departed, or without a departure, at
//! most `upstream_timeout` (rule S6). Both hold whatever it joins (rule K8).

use std::time::Duration;

use http::Response;

use crate::common::{BOB, JANE, World, code, in_time, run_ready_tasks, session};
use crate::crowd::{add_users, request_as};
use tower_clerk::testing::Endpoint;

const SIGN_IN_WAIT: Duration = Duration::from_secs(15);
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that any request may take.
const BOUND: Duration = Duration::from_secs(20);

/// Proofs end at this age or a twentieth of it earlier, and are renewed from 0.8 to 0.9 of it on.
const TTL: Duration = Duration::from_secs(4 * 3600);

/// Longer than a token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(61);

/// How many renewals wait before Jane's: the last of these has its turn two hundred seconds later.
const CROWD: usize = 20;

fn world(window: Duration) -> World {
    World::with(
        |fake| fake,
        |engine| {
            let engine = engine.session_ttl(TTL).sign_in_rate(1, window);
            engine.sign_in_wait(SIGN_IN_WAIT).upstream_timeout(UPSTREAM_TIMEOUT)
        },
    )
}

/// What a request of Jane's is answered, and how long that takes.
async fn timed(world: &World) -> (Response<String>, Duration) {
    let start = world.clock.now();
    let response = world.get(JANE).await;
    (response, world.clock.now() - start)
}

fn sign_ins_of_jane(world: &World) -> usize {
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    sign_ins.iter().filter(|request| request.form("identifier") == Some(JANE.0)).count()
}

/// Jane's session, when the renewal of its proof is the last of many that wait for their turns.
async fn last_of_many() -> (World, Response<String>) {
    let world = world(Duration::from_secs(10));
    let crowd = add_users(&world.fake, CROWD);
    for person in &crowd {
        assert_eq!(request_as(&world, person).await.status(), 200, "everybody is let in");
    }
    assert_eq!(world.get(JANE).await.status(), 200, "Jane is let in");
    // All of the proofs are due by then, and none ends within the eight minutes that follow.
    tokio::time::sleep(TTL.mul_f64(0.9) + Duration::from_secs(10)).await;
    for person in &crowd {
        assert_eq!(
            request_as(&world, person).await.status(),
            200,
            "everybody is let in by the proof at hand"
        );
    }
    let response = world.get(JANE).await;
    run_ready_tasks().await;
    assert_eq!(world.clerk.stats().sign_in_queue, CROWD, "all but the first renewal wait");
    (world, response)
}

/// Jane's session, when the renewal of its proof waits for the only permit, which is out for five minutes.
async fn without_budget() -> (World, Response<String>) {
    let world = world(Duration::from_secs(300));
    assert_eq!(world.get(JANE).await.status(), 200, "Jane is let in");
    tokio::time::sleep(TTL.mul_f64(0.9) + Duration::from_secs(10)).await;
    assert_eq!(world.get(BOB).await.status(), 200, "Bob takes the permit");
    let response = world.get(JANE).await;
    run_ready_tasks().await;
    assert_eq!(world.clerk.stats().sign_in_queue, 1, "the renewal waits");
    (world, response)
}

/// A renewal may wait far longer than a request may, so a request doesn't wait with it.
#[tokio::test(start_paused = true)]
async fn k8_a_request_whose_session_is_gone_takes_a_renewal_in_the_queue_over() {
    let (world, before) = last_of_many().await;
    world.fake.revoke_session(session(&before).session_id());
    tokio::time::sleep(TOKEN_LIFE).await;
    let (response, took) = timed(&world).await;
    let status = response.status();
    assert!(
        status == 200 && took <= BOUND,
        "a request whose session was gone waited with a renewal for {took:?}: {status}"
    );
    assert_ne!(session(&response).session_id(), session(&before).session_id());
}

/// After a revocation of its session, a request departs in the turn of requests, not in that of the renewal.
#[tokio::test(start_paused = true)]
async fn k8_a_request_whose_session_was_revoked_takes_a_renewal_in_the_queue_over() {
    let (world, before) = last_of_many().await;
    world.clerk.revoke_session(session(&before).session_id());
    let (response, took) = timed(&world).await;
    let status = response.status();
    assert!(
        status == 200 && took <= BOUND,
        "a request whose session was revoked waited with a renewal for {took:?}: {status}"
    );
    assert_ne!(session(&response).session_id(), session(&before).session_id());
}

/// The answer comes at once also where a renewal waits for that turn.
#[tokio::test(start_paused = true)]
async fn p1_a_request_whose_session_is_gone_is_told_at_once_that_there_is_no_turn() {
    let (world, before) = without_budget().await;
    world.fake.revoke_session(session(&before).session_id());
    tokio::time::sleep(TOKEN_LIFE).await;
    let (response, took) = timed(&world).await;
    assert!(
        took <= UPSTREAM_TIMEOUT,
        "without a turn in time, a request whose session was gone waited for {took:?}"
    );
    assert_eq!(code(&response), "upstream_rate_limited");
}

/// The answer says when that turn is.
#[tokio::test(start_paused = true)]
async fn p1_a_request_whose_session_was_revoked_is_told_at_once_when_its_turn_is() {
    let (world, before) = without_budget().await;
    world.clerk.revoke_session(session(&before).session_id());
    let (response, took) = timed(&world).await;
    let retry_after = response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
    let retry_after = Duration::from_secs(retry_after.unwrap_or_default());
    assert!(
        took <= UPSTREAM_TIMEOUT && retry_after >= Duration::from_secs(290),
        "without a turn in time, a request whose session was revoked waited for {took:?}, and was told to come \
         back after {retry_after:?}"
    );
    assert_eq!(code(&response), "upstream_rate_limited");
}

/// A revocation takes the renewal out of the queue, so that the password goes nowhere.
#[tokio::test(start_paused = true)]
async fn k9_the_renewal_of_a_user_who_is_revoked_leaves_the_queue() {
    let (world, before) = last_of_many().await;
    let (queue, sign_ins) = (world.clerk.stats().sign_in_queue, sign_ins_of_jane(&world));
    world.clerk.revoke_user(session(&before).user_id());
    run_ready_tasks().await;
    let left = queue - world.clerk.stats().sign_in_queue;
    tokio::time::sleep(Duration::from_secs(400)).await;
    let departed = sign_ins_of_jane(&world) - sign_ins;
    assert!(
        left == 1 && departed == 0,
        "the renewal of a user who was revoked kept its turn: {left} left the queue, {departed} departed"
    );
}

/// The departure of the first sign-in starts no clock of the second one.
#[tokio::test(start_paused = true)]
async fn s6_the_deadline_of_a_second_sign_in_runs_from_its_own_departure() {
    let world = world(Duration::from_secs(10));
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { timed(&world).await })
    };
    in_time(hold.arrived(1)).await;
    world.clerk.revoke_all();
    hold.release();
    // Its next turn comes in ten seconds, which is less than it may wait.
    let (response, took) = waiting.await.unwrap();
    let status = response.status();
    assert!(
        status == 200 && took <= BOUND,
        "a request that waited for its second turn was given up after {took:?}: {status}"
    );
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}
