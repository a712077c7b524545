//! Clerk's other answers about keys (rules T5, S3, S4, P2, P4, K11).

use tower_clerk::testing::{Endpoint, FakeApiKey, Fault, RetryAfter};

use super::{ACCEPTED, MINUTE, NO_TURN, REFUSED, SECOND, UNAVAILABLE, accepting, add, secret_of, status};
use super::{verifications, with_key};
use crate::common::World;

const MISCONFIGURED: (u16, &str) = (500, "misconfigured");

#[tokio::test(start_paused = true)]
async fn t5_a_fault_of_clerks_is_no_refusal_and_not_remembered() {
    let code = |status, code: &str| Fault::StatusWithCode(status, code.to_owned());
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Html(404),
        Fault::Html(502),
        Fault::Reset,
        Fault::Empty,
        Fault::NotJson,
        Fault::WrongTypes,
        Fault::Hang,
        code(500, "resource_not_found"),
    ] {
        let world = World::backend();
        let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
        world.fake.script(Endpoint::VerifyApiKey, fault.clone());
        assert_eq!(status(&layer, &secret).await, UNAVAILABLE, "{fault:?}");
        assert_eq!(status(&layer, &secret).await, ACCEPTED, "{fault:?}");
        assert_eq!(world.clerk.stats().api_key_denials, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn t5_a_known_code_refuses_and_an_unknown_one_is_remembered_as_a_fault() {
    for (status_of, code, expected) in [
        (404, "resource_not_found", REFUSED),
        (404, "a_code_of_tomorrow", REFUSED),
        (400, "api_key_expired", REFUSED),
        (400, "form_param_format_invalid", REFUSED),
        (400, "a_code_of_tomorrow", UNAVAILABLE),
        (403, "user_banned", REFUSED),
        (409, "conflict", UNAVAILABLE),
    ] {
        let world = World::backend();
        let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
        world.fake.script_always(Endpoint::VerifyApiKey, Fault::StatusWithCode(status_of, code.to_owned()));
        for _ in 0..3 {
            assert_eq!(status(&layer, &secret).await, expected, "{status_of} {code}");
        }
        assert_eq!(verifications(&world), 1, "{status_of} {code}: remembered");
        world.fake.clear_script(Endpoint::VerifyApiKey);
        tokio::time::advance(11 * SECOND).await;
        assert_eq!(status(&layer, &secret).await, ACCEPTED, "for `negative_ttl`");
    }
}

#[tokio::test(start_paused = true)]
async fn k11_a_key_that_is_refused_again_and_again_is_asked_about_ever_more_rarely() {
    let world = World::backend();
    let layer = accepting(&world);
    for (after, expected) in [(0, 1), (9, 1), (1, 2), (59, 2), (1, 3), (599, 3), (1, 4), (3599, 4), (1, 5)] {
        tokio::time::advance(after * SECOND).await;
        assert_eq!(status(&layer, "ak_unknown").await, REFUSED);
        assert_eq!(verifications(&world), expected);
    }
    world.clerk.forgive("__token__");
    assert_eq!(status(&layer, "ak_unknown").await, REFUSED);
    assert_eq!(verifications(&world), 6, "the operator can lift it");
}

#[tokio::test(start_paused = true)]
async fn t5_a_wrong_set_up_is_for_the_operator_and_refuses_no_key() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    world.fake.reconfigure(|fake| fake.api_keys(false));
    assert_eq!(status(&layer, &secret).await, MISCONFIGURED);
    assert_eq!(status(&layer, "ak_unknown").await, MISCONFIGURED, "known for all keys");
    assert_eq!(verifications(&world), 1);
    assert_eq!(world.get(crate::common::JANE).await.status(), 200, "passwords are not concerned");
    world.fake.reconfigure(|fake| fake.api_keys(true));
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(status(&layer, &secret).await, ACCEPTED);

    let world = World::backend();
    let layer = accepting(&world);
    world.fake.reconfigure(|fake| fake.secret_key("sk_test_another"));
    assert_eq!(status(&layer, &secret).await, MISCONFIGURED, "401");
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_pauses_keys_and_a_held_one_serves_on() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    let fault = Fault::RateLimited { retry_after: RetryAfter::Seconds(30) };
    world.fake.script(Endpoint::VerifyApiKey, fault);
    let acme = secret_of(&world, "acme");
    let response = with_key(&layer, &acme).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "30");
    assert_eq!(status(&layer, &acme).await, NO_TURN);
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    tokio::time::advance(31 * SECOND).await;
    assert_eq!(status(&layer, &acme).await, ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn p4_an_outage_opens_the_circuit_of_keys_alone_and_hits_go_on() {
    let world =
        World::backend_with(|fake| fake.no_rate_limit(), |engine| engine.backend_rate(10_000, SECOND));
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    world.fake.script_always(Endpoint::VerifyApiKey, Fault::Status(500));
    for number in 0..10 {
        let (_, other) = add(&world, FakeApiKey::new("bob").name(format!("key {number}")));
        assert_eq!(status(&layer, &other).await, UNAVAILABLE);
        tokio::time::advance(SECOND / 4).await;
    }
    let asked = verifications(&world);
    assert!((6..=9).contains(&asked), "{asked}: five open it");
    assert_eq!(status(&layer, &secret).await, ACCEPTED, "a hit");
    assert_eq!(world.get(crate::common::JANE).await.status(), 200, "passwords are not concerned");
    world.fake.clear_script(Endpoint::VerifyApiKey);
    tokio::time::advance(MINUTE).await;
    assert_eq!(status(&layer, &secret_of(&world, "acme")).await, ACCEPTED);
}
