//! A fault of Clerk is answered with a 503 within the deadline and never with a 401, and the next request works (rules
//! S4, S5, S6, S9).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, code, rejection, session};
use http::{Response, StatusCode};
use tower_clerk::testing::{Endpoint, Fault, RetryAfter, TokenFlaw};

const DEADLINE: Duration = Duration::from_secs(5);

/// Faults that make an answer useless at any endpoint.
fn faults() -> Vec<Fault> {
    let statuses = [408, 418, 425, 500, 502, 503, 504, 521];
    let mut faults: Vec<Fault> = statuses.into_iter().map(Fault::Status).collect();
    faults.extend([200, 401, 403, 404, 502].map(Fault::Html));
    // Error codes of Clerk mean something in a 4xx only, so in a 5xx they are ignored.
    faults.extend(
        ["form_password_incorrect", "user_locked", "signed_out", "organization_not_found_or_unauthorized"]
            .map(|code| Fault::StatusWithCode(500, code.to_owned())),
    );
    faults.extend(
        ["a_code_of_tomorrow", "internal_clerk_error", "requires_captcha"]
            .map(|code| Fault::StatusWithCode(422, code.to_owned())),
    );
    faults.extend([
        Fault::Hang,
        Fault::Delay(DEADLINE * 2),
        Fault::DelayAnswer(DEADLINE * 2),
        Fault::Redirect,
        Fault::Reset,
        Fault::Truncated,
        Fault::Oversized,
        Fault::WrongTypes,
        Fault::Empty,
        Fault::NotJson,
        Fault::RateLimited { retry_after: RetryAfter::Seconds(2) },
        Fault::RateLimited { retry_after: RetryAfter::Missing },
        Fault::RateLimited { retry_after: RetryAfter::Raw("soon".to_owned()) },
    ]);
    faults
}

/// Checks that a response is the answer to a fault.
#[track_caller]
pub(super) fn check_fault(response: &Response<String>, what: &str) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}: {:?}", rejection(response));
    assert!(["upstream_unavailable", "upstream_rate_limited"].contains(&code(response)), "{what}");
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=330).contains(&wait), "{what}: Retry-After {wait}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("www-authenticate"), "{what}");
}

/// Waits for the time in `Retry-After`.
async fn wait_as_told(response: &Response<String>) {
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
}

#[tokio::test(start_paused = true)]
async fn s4_every_fault_of_a_sign_in_is_503_in_time_and_the_next_request_works() {
    for fault in faults() {
        let world = World::new();
        let what = format!("{fault:?}");
        world.fake.script(Endpoint::SignIns, fault);
        let start = world.clock.now();
        let response = world.get(JANE).await;
        check_fault(&response, &what);
        assert!(world.clock.now() - start <= DEADLINE, "{what}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "S5: a sign-in is never repeated: {what}");
        // Unknown answers are remembered for `negative_ttl` (rule S3), and other errors are not remembered.
        let is_unknown = what.contains("a_code_of_tomorrow") || what.contains("418");
        if is_unknown {
            tokio::time::sleep(Duration::from_secs(10)).await;
        } else {
            wait_as_told(&response).await;
        }
        assert_eq!(world.get(JANE).await.status(), 200, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn s4_a_fault_is_not_counted_as_a_failure() {
    let world = World::unlimited();
    for fault in faults() {
        let what = format!("{fault:?}");
        world.fake.script_always(Endpoint::SignIns, fault);
        // The password is right, so Clerk counts no failure either and does not lock the account.
        for _ in 0..4 {
            check_fault(&world.get(JANE).await, &what);
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
        world.fake.clear_script(Endpoint::SignIns);
        assert_eq!(world.clerk.stats().failing_subjects, 0, "{what}");
    }
    assert_eq!(world.get(JANE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s4_every_fault_of_a_mint_is_503_in_time_and_leaves_the_session_alone() {
    for (endpoint, organization) in
        [(Endpoint::Tokens, "acme"), (Endpoint::Touch, "late"), (Endpoint::TemplateTokens, "")]
    {
        for fault in faults() {
            let what = format!("{fault:?} at {endpoint:?}");
            let world = World::new();
            world.fake.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
            assert_eq!(world.get(JANE).await.status(), 200);
            world.fake.add_organization(tower_clerk::testing::FakeOrganization::new("late"));
            world.fake.add_member("jane", "late", "org:member");
            let layer = match endpoint {
                Endpoint::TemplateTokens => world.layer().template("partner").unwrap(),
                _ => world.layer().organization(organization).unwrap(),
            };
            world.fake.script(endpoint, fault);
            let start = world.clock.now();
            let response = ask(&layer, basic(JANE)).await;
            check_fault(&response, &what);
            assert!(world.clock.now() - start <= DEADLINE, "{what}");
            wait_as_told(&response).await;
            assert_eq!(ask(&layer, basic(JANE)).await.status(), 200, "{what}, {:?}", response.headers());
            assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{what}");
            assert_eq!(world.fake.live_sessions(), 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k4_every_fault_of_a_renewal_is_503_at_the_tokens_end_and_never_a_new_sign_in() {
    for fault in faults() {
        let what = format!("{fault:?}");
        let world = World::new();
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::advance(Duration::from_secs(60)).await;
        world.fake.script(Endpoint::Tokens, fault);
        let response = world.get(JANE).await;
        check_fault(&response, &what);
        wait_as_told(&response).await;
        assert_eq!(world.get(JANE).await.status(), 200, "{what}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn s9_every_fault_of_the_key_set_is_503_in_time_and_the_next_request_works() {
    for fault in faults() {
        let world = World::new();
        let what = format!("{fault:?}");
        // The keys are needed for the sign-in's token, and again for the token that is minted to replace it.
        world.fake.script_times(Endpoint::Jwks, 2, fault);
        let start = world.clock.now();
        let response = world.get(JANE).await;
        check_fault(&response, &what);
        assert!(world.clock.now() - start <= DEADLINE, "{what}");
        world.fake.clear_script(Endpoint::Jwks);
        wait_as_told(&response).await;
        assert_eq!(world.get(JANE).await.status(), 200, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn s9_a_flawed_token_is_never_passed_on() {
    use TokenFlaw::{
        AbsurdExp, AlgHs256, AlgNone, BadSignature, Expired, NoExp, NotYetValid, Pending, UnknownKid,
        WrongIssuer, WrongSession, WrongSub,
    };
    for flaw in [
        AbsurdExp,
        AlgHs256,
        AlgNone,
        BadSignature,
        Expired,
        NoExp,
        NotYetValid,
        Pending,
        UnknownKid,
        WrongIssuer,
        WrongSession,
        WrongSub,
    ] {
        let world = World::new();
        // The sign-in's flawed token is replaced by a minted one, which has the flaw too.
        world.fake.script(Endpoint::SignIns, Fault::TokenWith(flaw));
        world.fake.script(Endpoint::Tokens, Fault::TokenWith(flaw));
        let response = world.get(JANE).await;
        check_fault(&response, &format!("{flaw:?}"));
        assert_eq!(world.get(JANE).await.status(), 200, "{flaw:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{flaw:?}");

        // A flaw in the sign-in's token alone costs one mint.
        world.fake.script(Endpoint::SignIns, Fault::TokenWith(flaw));
        assert_eq!(world.get(BOB).await.status(), 200, "{flaw:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 2, "{flaw:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s2_the_created_session_is_found_at_any_position() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::OtherSessionFirst);
    let response = world.get(JANE).await;
    let right = world.fake.sessions()[0].clone();
    assert_eq!(
        (session(&response).session_id(), session(&response).user_id()),
        (right.id(), right.user_id())
    );
    world.fake.script(Endpoint::SignIns, Fault::MissingSession);
    check_fault(&world.get(BOB).await, "no session");
    world.fake.script(Endpoint::SignIns, Fault::NullToken);
    world.fake.script(Endpoint::SignIns, Fault::EmptyJwt);
    assert_eq!(world.get(BOB).await.status(), 200, "a sign-in without a token is followed by a mint");
    assert_eq!(world.get(CAROL).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s6_one_deadline_covers_all_calls_of_an_exchange() {
    let world = World::new();
    let slow = Duration::from_millis(3_000);
    for endpoint in [Endpoint::SignIns, Endpoint::Tokens, Endpoint::Jwks] {
        world.fake.script(endpoint, Fault::Delay(slow));
    }
    let start = world.clock.now();
    check_fault(&world.get_for(JANE, "acme").await, "three slow calls");
    assert_eq!(world.clock.now() - start, DEADLINE);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
}
