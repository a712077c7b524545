//! The answers to the demo accounts, none of which helps a guesser.

use std::time::Duration;

use crate::common::{
    BOB, CAROL, JANE, Pair, World, ask, basic, code, rejection, session, wire, with_authorization,
};
use http::{Request, Response};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};
use tower_clerk::{Rejection, RejectionKind};

const CHALLENGE: &str = "Basic realm=\"api\", charset=\"UTF-8\"";

const MFA: Pair = ("mfa@example.com", "second factor please");
const NEW_DEVICE: Pair = ("newdevice@example.com", "trust me on a device");
const LOCKED: Pair = ("locked@example.com", "locked out for an hour");
const BANNED: Pair = ("banned@example.com", "banned for good");
const EXPIRED: Pair = ("expired@example.com", "please choose a new one");
const SSO: Pair = ("sso@example.com", "whatever it may be");

/// An engine whose sign-ins wait up to 60 s for a permit.
fn patient(fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> World {
    World::with(fake, |engine| engine.sign_in_wait(Duration::from_secs(60)))
}

async fn problem(world: &World, pair: Pair) -> Response<String> {
    ask(&world.layer().problem_json(), basic(pair)).await
}

/// Checks a response of `problem_json` against the expected rejection.
#[track_caller]
fn check(response: &Response<String>, status: u16, expected: &str, retry_after: bool) {
    assert_eq!(response.status(), status);
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("www-authenticate"), (status == 401).then_some(CHALLENGE));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("content-type"), Some("application/problem+json"));
    assert_eq!(response.headers().contains_key("retry-after"), retry_after);
    let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], expected);
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()));
    let rejection = rejection(response).expect("a typed rejection in the response's extensions (A2)");
    assert_eq!((rejection.code(), rejection.status().as_u16()), (expected, status));
    assert!(response.extensions().get::<crate::common::Seen>().is_none(), "the inner service is not called");
}

#[tokio::test(start_paused = true)]
async fn a_right_password_opens_a_session_with_any_identifier() {
    let world = World::new();
    for (identifier, password, user) in [
        (JANE.0, JANE.1, "jane"),
        ("jane", JANE.1, "jane"),
        (BOB.0, BOB.1, "bob"),
        ("bob", BOB.1, "bob"),
        (CAROL.0, CAROL.1, "carol@example.com"),
    ] {
        let response = world.get((identifier, password)).await;
        let session = session(&response);
        let live = world.fake.sessions();
        let theirs = live.iter().find(|live| live.id() == session.session_id()).expect("a session at Clerk");
        assert_eq!(theirs.user_id(), session.user_id());
        assert!(world.fake.live_sessions_of(user) > 0);
        assert_eq!(session.claims().subject(), session.user_id());
        assert_eq!(session.claims().session_id(), Some(session.session_id()));
        assert!(session.organization().is_none(), "no organization was asked for (S7)");
        assert!(
            !response.headers().contains_key("cache-control"),
            "a response of the inner service is not changed"
        );
        assert!(rejection(&response).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn every_demo_account_gets_its_answer() {
    let world = patient(|fake| fake);
    for (pair, status, expected) in [
        (MFA, 403, "second_factor_required"),
        (NEW_DEVICE, 403, "account_action_required"),
        (EXPIRED, 403, "account_action_required"),
        (LOCKED, 401, "credentials_rejected"),
        (BANNED, 401, "credentials_rejected"),
        (SSO, 401, "credentials_rejected"),
        ((JANE.0, "wrong"), 401, "credentials_rejected"),
        (("nobody@example.com", "whatever"), 401, "credentials_rejected"),
    ] {
        check(&problem(&world, pair).await, status, expected, false);
        // The second answer comes from memory (rule K11).
        let calls = world.fake.count(Endpoint::Any);
        check(&problem(&world, pair).await, status, expected, false);
        assert_eq!(world.fake.count(Endpoint::Any), calls, "{}", pair.0);
    }
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn c5_missing_credentials_have_their_own_answer_and_cost_no_call() {
    let world = World::new();
    let layer = world.layer().problem_json();
    let none = Request::get("/me").body(()).unwrap();
    for request in [none, with_authorization("Bearer abc"), with_authorization("Digest username=\"jane\"")] {
        check(&ask(&layer, request).await, 401, "credentials_missing", false);
    }
    check(&ask(&layer, with_authorization("Basic ???")).await, 401, "credentials_malformed", false);
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

/// Status, headers and body are the same, with either kind of body.
#[tokio::test(start_paused = true)]
async fn wrong_password_unknown_user_locked_banned_and_sso_are_indistinguishable() {
    for enumeration_protection in [false, true] {
        let world = patient(|fake| fake.enumeration_protection(enumeration_protection));
        world.fake.ban("carol@example.com");
        let alike = [
            (JANE.0, "wrong"),
            ("jane", "wrong"),
            ("nobody@example.com", "whatever"),
            ("not an identifier", "whatever"),
            (LOCKED.0, "wrong"),
            LOCKED,
            (BANNED.0, "wrong"),
            BANNED,
            CAROL,
            SSO,
        ];
        let (empty, json) = (world.layer(), world.layer().problem_json());
        let custom = world.layer().with_rejection_response(|rejection: &Rejection| {
            Response::new(format!("{rejection} {:?} {:?}", rejection.kind(), rejection.detail()))
        });
        let expected = (wire(&ask(&empty, basic(alike[0])).await), wire(&ask(&json, basic(alike[0])).await));
        assert_eq!(expected.0.0, 401);
        assert_eq!(expected.0.2, "");
        for pair in alike {
            // The first answer comes from Clerk, the second from memory.
            for _ in 0..2 {
                assert_eq!(wire(&ask(&json, basic(pair)).await), expected.1, "{}", pair.0);
                assert_eq!(wire(&ask(&empty, basic(pair)).await), expected.0, "{}", pair.0);
            }
            let response = ask(&custom, basic(pair)).await;
            assert_eq!(response.status(), 401);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a2_the_typed_rejection_tells_outer_layers_what_the_response_hides() {
    let world = World::new();
    let upstream = |response: &Response<String>| {
        let rejection = rejection(response).unwrap();
        assert_eq!(rejection.kind(), RejectionKind::CredentialsRejected);
        rejection.upstream_code().map(str::to_owned)
    };
    let locked = upstream(&world.get(LOCKED).await);
    let banned = upstream(&world.get(BANNED).await);
    let wrong = upstream(&world.get((JANE.0, "wrong")).await);
    assert_eq!(locked.as_deref(), Some("user_locked"));
    assert!(banned.is_some() && banned != locked);
    assert!(wrong != locked && wrong != banned);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_never_reveals_the_state_of_the_account() {
    let world = World::new();
    let plain = wire(&problem(&world, (JANE.0, "wrong")).await);
    for pair in [MFA, NEW_DEVICE, EXPIRED] {
        assert_eq!(wire(&problem(&world, (pair.0, "wrong")).await), plain, "{}", pair.0);
    }
}

#[tokio::test(start_paused = true)]
async fn device_trust_in_its_legacy_form_gets_the_same_answer() {
    let world = World::with(|fake| fake.legacy_device_trust(true), |engine| engine);
    check(&problem(&world, NEW_DEVICE).await, 403, "account_action_required", false);
    check(&problem(&world, MFA).await, 403, "second_factor_required", false);
}

#[tokio::test(start_paused = true)]
async fn k11_a_misconfigured_instance_is_remembered_for_all_users_for_ten_seconds() {
    let world = World::with(|fake| fake.native_api(false), |engine| engine);
    check(&problem(&world, JANE).await, 500, "misconfigured", false);
    let calls = world.fake.count(Endpoint::Any);
    check(&problem(&world, BOB).await, 500, "misconfigured", false);
    assert_eq!(world.fake.count(Endpoint::Any), calls, "K11: remembered for the whole engine");
    world.fake.reconfigure(|settings| settings.native_api(true).passwords(false));
    tokio::time::advance(Duration::from_secs(10)).await;
    check(&problem(&world, JANE).await, 500, "misconfigured", false);
    world.fake.reconfigure(|settings| settings.passwords(true));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(problem(&world, JANE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k11_a_repaired_account_gets_in_once_its_denial_expires() {
    let world = patient(|fake| fake);
    for pair in [MFA, EXPIRED, BANNED, LOCKED] {
        assert_ne!(world.get(pair).await.status(), 200);
    }
    world.fake.require_second_factor(MFA.0, false);
    world.fake.require_new_password(EXPIRED.0, false);
    world.fake.unban(BANNED.0);
    world.fake.unlock(LOCKED.0);
    tokio::time::advance(Duration::from_secs(11)).await;
    for pair in [MFA, EXPIRED, BANNED] {
        let response = world.get(pair).await;
        assert_eq!((response.status().as_u16(), code(&response)), (200, ""), "{}", pair.0);
    }
    // No call is made for a locked account before its lock can be over (rule P3).
    assert_eq!(world.get(LOCKED).await.status(), 401);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(world.get(LOCKED).await.status(), 200);
}
