//! The sign-ins and look-ups that devices cost (rules S5, S10, P2, P3).

use std::time::Duration;

use super::{HOUR, killed, world};
use crate::common::{JANE, NEWDEVICE, Pair, World, ask, basic, code, enroll, rest};
use crate::stores::StoreFile;
use tower_clerk::Credentials;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault, RetryAfter};

/// Enrolls the device of a user whom Clerk lets in from any device.
pub(super) async fn enroll_without_a_code(world: &World, (identifier, password): Pair) {
    let credentials = Credentials::new(identifier, password).unwrap();
    assert!(world.clerk.enroll(&credentials).await.unwrap().is_done(), "no code is needed");
}

#[tokio::test(start_paused = true)]
async fn s10_devices_cost_no_sign_in_without_device_trust() {
    let devices = StoreFile::new();
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
async fn s5_an_answer_causes_at_most_one_sign_in() {
    // A killed process left a session on a client. This process looks the session up and tries no sign-in on that
    // client.
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    assert_eq!(first.get(JANE).await.status(), 200);
    devices.lose_logins().await;
    let again = killed(&first, &devices);
    rest().await;
    first.fake.clear_log();
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(first.fake.count(Endpoint::SignIns), 1);
    assert_eq!(first.fake.count(Endpoint::Client), 1);
}

/// A session that the engine has dropped may still be open at Clerk. A sign-in on its client would be answered
/// `session_exists`, and would need a second sign-in. After an outage, in which no session could be ended, each user
/// would need two.
#[tokio::test(start_paused = true)]
async fn s10_a_session_that_could_not_be_ended_costs_its_user_no_second_sign_in() {
    for device_trust in [false, true] {
        let world = World::with(|fake| fake, |engine| engine);
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
        assert_eq!(world.fake.live_sessions(), 1, "the session that was left open is ended now");
        // If the session was ended in time, one sign-in is enough.
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 0);
        world.fake.clear_log();
        assert_eq!(world.get(user).await.status(), 200);
        let counts = [Endpoint::SignIns, Endpoint::Client, Endpoint::End].map(|it| world.fake.count(it));
        assert_eq!(counts, [1, 0, 0]);
    }
}

/// The session on a known client is found by a look-up, which is not a sign-in.
#[tokio::test(start_paused = true)]
async fn p2_a_429_for_a_look_up_pauses_look_ups_and_no_sign_in() {
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    devices.lose_logins().await;
    let again = killed(&first, &devices);
    rest().await;
    again.fake.clear_log();
    again.fake.script(Endpoint::Client, Fault::RateLimited { retry_after: RetryAfter::Seconds(60) });
    let response = again.get(NEWDEVICE).await;
    assert_eq!(code(&response), "upstream_rate_limited");
    assert_eq!(response.headers()["retry-after"], "60");
    assert_eq!(again.get(JANE).await.status(), 200, "sign-ins are not paused");
    assert_eq!(code(&again.get(NEWDEVICE).await), "upstream_rate_limited");
    assert_eq!(again.fake.count(Endpoint::Client), 1, "look-ups are paused");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
}

/// While the device of an identifier can't be looked up, guesses are counted sign-ins, and the user still gets in.
#[tokio::test(start_paused = true)]
async fn p3_guesses_are_counted_while_look_ups_are_paused() {
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    enroll_without_a_code(&first, JANE).await;
    rest().await;
    devices.lose_logins().await;
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
