//! How long requests wait.
//!
//! A request waits for a permit for at most `sign_in_wait` (rule P1), and for its upstream calls for at most
//! `upstream_timeout` (rule S6). Both limits hold whatever flight it joins (rule K8).

use std::time::Duration;

use http::Response;

use crate::common::{BOB, JANE, World, code, in_time, run_ready_tasks, session};
use crate::crowd::{add_users, request_as};
use tower_clerk::testing::Endpoint;

const SIGN_IN_WAIT: Duration = Duration::from_secs(15);
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that any request may take.
const BOUND: Duration = Duration::from_secs(20);

/// Proofs end at this age or up to a twentieth of it earlier, and their renewal is due between 0.8 and 0.9 of it.
const TTL: Duration = Duration::from_secs(4 * 3600);

/// Longer than a token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(61);

/// The number of renewals queued before Jane's. The last of them gets its permit 200 s later.
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

/// Sends a request with Jane's credentials. Returns the response, and how long it took.
async fn timed(world: &World) -> (Response<String>, Duration) {
    let start = world.clock.now();
    let response = world.get(JANE).await;
    (response, world.clock.now() - start)
}

fn sign_ins_of_jane(world: &World) -> usize {
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    sign_ins.iter().filter(|request| request.form("identifier") == Some(JANE.0)).count()
}

/// Signs Jane in, with the renewal of her proof the last of many in the queue. Returns her latest response as well.
async fn last_of_many() -> (World, Response<String>) {
    let world = world(Duration::from_secs(10));
    let crowd = add_users(&world.fake, CROWD);
    for user in &crowd {
        assert_eq!(request_as(&world, user).await.status(), 200, "every user signs in");
    }
    assert_eq!(world.get(JANE).await.status(), 200, "Jane signs in");
    // The renewal of every proof is due by then, and no proof ends within the next eight minutes.
    tokio::time::sleep(TTL.mul_f64(0.9) + Duration::from_secs(10)).await;
    for user in &crowd {
        assert_eq!(request_as(&world, user).await.status(), 200, "every proof is still valid");
    }
    let response = world.get(JANE).await;
    run_ready_tasks().await;
    assert_eq!(world.clerk.stats().sign_in_queue, CROWD, "all but the first renewal wait");
    (world, response)
}

/// Signs Jane in, with the renewal of her proof waiting for the only permit, which is taken for five minutes. Returns
/// her latest response as well.
async fn without_budget() -> (World, Response<String>) {
    let world = world(Duration::from_secs(300));
    assert_eq!(world.get(JANE).await.status(), 200, "Jane signs in");
    tokio::time::sleep(TTL.mul_f64(0.9) + Duration::from_secs(10)).await;
    assert_eq!(world.get(BOB).await.status(), 200, "Bob takes the permit");
    let response = world.get(JANE).await;
    run_ready_tasks().await;
    assert_eq!(world.clerk.stats().sign_in_queue, 1, "the renewal waits");
    (world, response)
}

/// A renewal may wait far longer than a request may, so the request must not wait with it.
#[tokio::test(start_paused = true)]
async fn k8_a_request_whose_session_is_gone_takes_over_a_queued_renewal() {
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

/// After its session is revoked, a request gets a permit ahead of the queued renewals.
#[tokio::test(start_paused = true)]
async fn k8_a_request_whose_session_was_revoked_takes_over_a_queued_renewal() {
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

/// The answer comes at once even though a renewal is queued.
#[tokio::test(start_paused = true)]
async fn p1_a_request_whose_session_is_gone_is_rejected_at_once_without_a_permit() {
    let (world, before) = without_budget().await;
    world.fake.revoke_session(session(&before).session_id());
    tokio::time::sleep(TOKEN_LIFE).await;
    let (response, took) = timed(&world).await;
    assert!(
        took <= UPSTREAM_TIMEOUT,
        "without a permit in time, a request whose session was gone waited for {took:?}"
    );
    assert_eq!(code(&response), "upstream_rate_limited");
}

/// `Retry-After` says when the next permit is free.
#[tokio::test(start_paused = true)]
async fn p1_a_request_whose_session_was_revoked_is_told_at_once_when_to_retry() {
    let (world, before) = without_budget().await;
    world.clerk.revoke_session(session(&before).session_id());
    let (response, took) = timed(&world).await;
    let retry_after = response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
    let retry_after = Duration::from_secs(retry_after.unwrap_or_default());
    assert!(
        took <= UPSTREAM_TIMEOUT && retry_after >= Duration::from_secs(290),
        "without a permit in time, a request whose session was revoked waited for {took:?}, and was told to come \
         back after {retry_after:?}"
    );
    assert_eq!(code(&response), "upstream_rate_limited");
}

/// A revocation takes the renewal out of the queue, so that the password is not sent to Clerk.
#[tokio::test(start_paused = true)]
async fn k9_the_renewal_of_a_revoked_user_leaves_the_queue() {
    let (world, before) = last_of_many().await;
    let (queue, sign_ins) = (world.clerk.stats().sign_in_queue, sign_ins_of_jane(&world));
    world.clerk.revoke_user(session(&before).user_id());
    run_ready_tasks().await;
    let left = queue - world.clerk.stats().sign_in_queue;
    tokio::time::sleep(Duration::from_secs(400)).await;
    let started = sign_ins_of_jane(&world) - sign_ins;
    assert!(
        left == 1 && started == 0,
        "the renewal of a revoked user stayed in the queue: {left} left the queue, {started} started"
    );
}

/// The start of the first sign-in does not start the deadline of the second.
#[tokio::test(start_paused = true)]
async fn s6_the_deadline_of_a_second_sign_in_runs_from_its_own_start() {
    let world = world(Duration::from_secs(10));
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { timed(&world).await })
    };
    in_time(hold.arrived(1)).await;
    world.clerk.revoke_all();
    hold.release();
    // The next permit is free in ten seconds, which is less than the request may wait.
    let (response, took) = waiting.await.unwrap();
    let status = response.status();
    assert!(
        status == 200 && took <= BOUND,
        "a request that waited for its second permit was rejected after {took:?}: {status}"
    );
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}
