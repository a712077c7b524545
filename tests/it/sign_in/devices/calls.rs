//! The sign-ins and look-ups that devices cost.

use std::time::Duration;

use super::{HOUR, killed, world};
use crate::common::{JANE, NEWDEVICE, Pair, World, ask, basic, code, enroll, rest};
use crate::stores::SharedDevices;
use tower_clerk::Credentials;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault, RetryAfter};

/// Enrolls the device of a user whom Clerk lets in from any.
async fn enroll_without_a_code(world: &World, (identifier, password): Pair) {
    let credentials = Credentials::new(identifier, password).unwrap();
    assert!(world.clerk.enroll(&credentials).await.unwrap().is_done(), "no code is wanted");
}

#[tokio::test(start_paused = true)]
async fn s10_devices_cost_no_sign_in_where_nobody_asks_for_them() {
    let devices = SharedDevices::default();
    let world = world(&devices, FakeClerkBuilder::no_rate_limit);
    for _ in 0..5 {
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::sleep(3 * HOUR).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 5, "one for each proof");
    assert_eq!(world.fake.count(Endpoint::Client), 0);
    let layer = world.layer();
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s5_at_most_one_sign_in_follows_from_an_answer() {
    // A killed process' session on a client that nobody here knows anything of: looked at, not tried.
    let devices = SharedDevices::default();
    let first = world(&devices, |fake| fake);
    assert_eq!(first.get(JANE).await.status(), 200);
    let again = killed(&first, &devices);
    rest().await;
    first.fake.clear_log();
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(first.fake.count(Endpoint::SignIns), 1);
    assert_eq!(first.fake.count(Endpoint::Client), 1);
}

/// A session that is over here may go on at Clerk. A sign-in on its client would be answered `session_exists`, and a second
/// one would have to follow: after an outage, when no session could be ended, nobody would get that far.
#[tokio::test(start_paused = true)]
async fn s10_a_session_that_could_not_be_ended_costs_its_user_no_second_sign_in() {
    for device_trust in [false, true] {
        let world = world(&SharedDevices::default(), |fake| fake);
        let user = if device_trust { NEWDEVICE } else { JANE };
        if device_trust {
            enroll(&world, user).await;
        } else {
            enroll_without_a_code(&world, user).await;
        }
        rest().await;
        assert_eq!(world.get(user).await.status(), 200);
        world.fake.script_always(Endpoint::End, Fault::Status(503));
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 1, "it was not ended");
        world.fake.clear_script(Endpoint::End);
        world.fake.clear_log();
        assert_eq!(world.get(user).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "device trust: {device_trust}");
        assert_eq!(world.fake.live_sessions(), 1, "the one that was left behind is ended now");
        // Where it was ended in time, a sign-in is all it takes.
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 0);
        world.fake.clear_log();
        assert_eq!(world.get(user).await.status(), 200);
        let counts = [Endpoint::SignIns, Endpoint::Client, Endpoint::End].map(|it| world.fake.count(it));
        assert_eq!(counts, [1, 0, 0]);
    }
}

/// Whether a session hangs on a known client is asked by a look-up, which is no sign-in.
#[tokio::test(start_paused = true)]
async fn p2_a_look_up_that_clerk_answers_429_pauses_look_ups_and_no_sign_in() {
    let devices = SharedDevices::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    let again = killed(&first, &devices);
    rest().await;
    again.fake.clear_log();
    again.fake.script(Endpoint::Client, Fault::RateLimited { retry_after: RetryAfter::Seconds(60) });
    let response = again.get(NEWDEVICE).await;
    assert_eq!(code(&response), "upstream_rate_limited");
    assert_eq!(response.headers()["retry-after"], "60");
    assert_eq!(again.get(JANE).await.status(), 200, "sign-ins go on");
    assert_eq!(code(&again.get(NEWDEVICE).await), "upstream_rate_limited");
    assert_eq!(again.fake.count(Endpoint::Client), 1, "and look-ups rest");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
}

/// Guesses at an identifier whose device can't be looked at are sign-ins, which count, and its user gets in.
#[tokio::test(start_paused = true)]
async fn p3_guesses_count_also_while_look_ups_pause() {
    let devices = SharedDevices::default();
    let first = world(&devices, |fake| fake);
    enroll_without_a_code(&first, JANE).await;
    rest().await;
    let again = killed(&first, &devices);
    again.fake.script(Endpoint::Client, Fault::RateLimited { retry_after: RetryAfter::Seconds(300) });
    assert_eq!(code(&again.get(JANE).await), "upstream_rate_limited");
    rest().await;
    assert_eq!(again.get(JANE).await.status(), 200, "from a fresh client");
    again.fake.clear_log();
    for guess in 0..6 {
        let answer = code(&again.get((JANE.0, ["a", "b", "c", "d", "e", "f"][guess])).await);
        assert_eq!(answer, if guess < 4 { "credentials_rejected" } else { "throttled" });
    }
    assert_eq!((again.fake.count(Endpoint::SignIns), again.fake.count(Endpoint::Client)), (4, 0));
}
