//! The token that is handed out (rule E4), and the errors (rule E5).

use std::time::Duration;

use http::StatusCode;
use tower_clerk::testing::{Endpoint, Fault, RetryAfter};
use tower_clerk::token_endpoint::{TokenError, TokenErrorCode};
use tower_clerk::{ClerkBuilder, RejectionKind};

use super::{Answer, GRANT, form, send, token};
use crate::common::{BOB, JANE, World, authorization, logged, run_ready_tasks};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The life that the token of an answer has left by Clerk's clock, and its whole life, in seconds.
fn life(world: &World, answer: &Answer) -> (f64, f64) {
    let claims = answer.claims();
    let of = |name: &str| claims[name].as_f64().unwrap();
    let now = world.clock.wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    (of("exp") - now.as_secs_f64(), of("exp") - of("iat"))
}

#[tokio::test(start_paused = true)]
async fn e4_the_answer_is_that_of_rfc_6749() {
    let world = World::new();
    let answer = token(&world.endpoint(), JANE).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type"), "application/json");
    assert_eq!((answer.field("cache-control"), answer.field("pragma")), ("no-store", "no-cache"));
    let members: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "token_type"]);
    assert_eq!(answer.json["token_type"], "Bearer");
    assert!(matches!(answer.expires_in(), 58 | 59), "{}", answer.expires_in());
    // A layer that accepts Bearer accepts it.
    let layer = world.layer().accept_bearer(tower_clerk::BearerTokens::new()).unwrap();
    let bearer = crate::common::with_authorization(&format!("Bearer {}", answer.token()));
    assert_eq!(crate::common::ask(&layer, bearer).await.status(), 200);
}

/// A client that asks at every second of 10 min, on tokens of several lives.
#[tokio::test(start_paused = true)]
async fn e4_a_token_has_half_of_its_life_left_and_no_more_are_minted_than_that_takes() {
    for token_life in [5, 60, 300] {
        let world = World::with(|fake| fake.token_life(secs(token_life)), |engine| engine);
        let endpoint = world.endpoint();
        for _ in 0..600 {
            let answer = token(&endpoint, JANE).await;
            let (left, whole) = life(&world, &answer);
            assert!(left >= whole / 2.0, "{left} of {whole}");
            let said = answer.expires_in() as f64;
            assert!(said <= left && said >= left - 2.0, "{said} said, {left} left");
            tokio::time::sleep(secs(1)).await;
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
        let mints = world.fake.count(Endpoint::Tokens) as u64;
        // Each serves for two fifths of its life at least, and tokens of 5 s for a second.
        let most = if token_life == 5 { 600 } else { 600 * 5 / (2 * token_life) + 1 };
        assert!(mints <= most, "{mints} mints of tokens of {token_life} s");
        println!("tokens of {token_life} s, asked for each second for 600 s: {mints} mints");
    }
}

/// A layer hands the same token on until its last seconds, so the endpoint has to mint in time.
#[tokio::test(start_paused = true)]
async fn e4_a_token_that_a_layer_still_hands_on_is_replaced_for_the_endpoint() {
    let world = World::new();
    world.get(JANE).await;
    tokio::time::sleep(secs(35)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Tokens), 0, "it is that of the sign-in");
    let (left, whole) = life(&world, &token(&world.endpoint(), JANE).await);
    assert!(left >= whole / 2.0, "{left} of {whole}");
    assert_eq!(world.fake.count(Endpoint::Tokens), 1);
    token(&world.endpoint(), JANE).await;
    world.get(JANE).await;
    assert_eq!(world.fake.count(Endpoint::Tokens), 1);
}

#[tokio::test(start_paused = true)]
async fn e4_no_request_waits_for_the_renewal_of_a_token_that_still_has_half() {
    let world = World::new();
    token(&world.endpoint(), JANE).await;
    tokio::time::sleep(secs(40)).await;
    let first = token(&world.endpoint(), JANE).await;
    // The one that the endpoint has minted is renewed ahead of its half.
    world.fake.script_always(Endpoint::Tokens, Fault::Delay(secs(2)));
    tokio::time::sleep(secs(28)).await;
    let start = tokio::time::Instant::now();
    let same = token(&world.endpoint(), JANE).await;
    assert_eq!((same.token(), start.elapsed()), (first.token(), Duration::ZERO));
    tokio::time::sleep(secs(3)).await;
    run_ready_tasks().await;
    assert_ne!(token(&world.endpoint(), JANE).await.token(), first.token());
    assert_eq!(world.fake.count(Endpoint::Tokens), 2);
}

#[tokio::test(start_paused = true)]
async fn e4_with_the_backend_api_tokens_of_an_hour_are_minted_twice_an_hour() {
    let world = World::backend_with(|fake| fake, |engine| engine.token_lifetime(secs(3600)));
    for minute in 0..120 {
        let (left, whole) = life(&world, &token(&world.endpoint(), JANE).await);
        // The first one has come with the sign-in.
        assert_eq!(whole, if minute == 0 { 60.0 } else { 3600.0 });
        assert!(left >= whole / 2.0, "{left} of {whole}");
        tokio::time::sleep(secs(60)).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    let mints = world.fake.requests_to(Endpoint::BackendTokens).len();
    assert!((4..=6).contains(&mints), "{mints}");
}

#[tokio::test(start_paused = true)]
async fn e4_under_an_outage_the_answer_is_503_once_less_than_half_is_left() {
    let world = World::new();
    let first = token(&world.endpoint(), JANE).await;
    world.fake.script_always(Endpoint::Tokens, Fault::Status(502));
    tokio::time::sleep(secs(20)).await;
    assert_eq!(token(&world.endpoint(), JANE).await.token(), first.token());
    tokio::time::sleep(secs(20)).await;
    let answer = token(&world.endpoint(), JANE).await;
    assert_eq!(answer.failure(), (503, "temporarily_unavailable"));
    assert!(answer.field("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(world.get(JANE).await.status(), 200, "a layer hands the old one on");
}

#[tokio::test(start_paused = true)]
async fn e5_each_rejection_has_its_code_and_status() {
    let wrong = ("jane@example.com", "a wrong password");
    for (pair, status, code, kind) in [
        (wrong, 401, "invalid_client", RejectionKind::CredentialsRejected),
        (("nobody@example.com", "x"), 401, "invalid_client", RejectionKind::CredentialsRejected),
        (
            ("banned@example.com", "banned for good"),
            401,
            "invalid_client",
            RejectionKind::CredentialsRejected,
        ),
        (
            ("mfa@example.com", "second factor please"),
            400,
            "unauthorized_client",
            RejectionKind::SecondFactorRequired,
        ),
        (
            ("expired@example.com", "please choose a new one"),
            400,
            "unauthorized_client",
            RejectionKind::AccountActionRequired,
        ),
    ] {
        let world = World::new();
        let answer = token(&world.endpoint(), pair).await;
        assert_eq!(answer.failure(), (status, code), "{pair:?}");
        let members: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
        assert_eq!(members, ["error", "error_description"]);
        assert_eq!(answer.rejection.as_ref().unwrap().kind(), kind);
        assert_eq!((answer.field("cache-control"), answer.field("pragma")), ("no-store", "no-cache"));
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{pair:?}");
        assert_eq!(answer.error.as_ref().unwrap().code().as_str(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn e5_refused_credentials_are_answered_alike() {
    let world = World::unlimited();
    let (mut answers, locked) = (Vec::new(), ("locked@example.com", "locked out for an hour"));
    for pair in [("jane@example.com", "wrong"), ("nobody@example.com", "x"), locked] {
        let answer = token(&world.endpoint(), pair).await;
        answers.push((answer.status, answer.json, answer.headers));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn e5_a_spent_budget_and_an_outage_are_503_with_retry_after() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, secs(100)).sign_in_wait(secs(1)));
    assert_eq!(token(&world.endpoint(), JANE).await.status, 200);
    let answer = token(&world.endpoint(), BOB).await;
    assert_eq!(answer.failure(), (503, "temporarily_unavailable"));
    assert_eq!(answer.rejection.as_ref().unwrap().kind(), RejectionKind::UpstreamRateLimited);
    assert!(answer.field("retry-after").parse::<u64>().unwrap() > 60, "{answer:?}");

    for fault in [Fault::Status(502), Fault::RateLimited { retry_after: RetryAfter::Seconds(7) }] {
        let world = World::new();
        world.fake.script_always(Endpoint::SignIns, fault);
        let answer = token(&world.endpoint(), JANE).await;
        assert_eq!(answer.failure(), (503, "temporarily_unavailable"));
        assert!(answer.field("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test(start_paused = true)]
async fn e5_an_instance_that_cannot_work_is_server_error() {
    let world = World::with(|fake| fake.native_api(false), ClerkBuilder::unlimited_sign_ins);
    let answer = token(&world.endpoint(), JANE).await;
    assert_eq!(answer.failure(), (500, "server_error"));
    assert_eq!(answer.rejection.unwrap().kind(), RejectionKind::Misconfigured);
}

/// PACT's cases want 400 `invalid_request` for refused credentials.
fn as_pact_wants(error: TokenError) -> TokenError {
    match error.rejection().map(tower_clerk::Rejection::kind) {
        Some(RejectionKind::CredentialsRejected) => {
            error.with_code(TokenErrorCode::InvalidRequest).with_status(StatusCode::BAD_REQUEST)
        }
        _ => error,
    }
}

#[tokio::test(start_paused = true)]
async fn e5_errors_are_mapped_within_the_statuses_of_errors() {
    let world = World::new();
    let pact = world.endpoint().map_errors(as_pact_wants);
    let answer = token(&pact, (JANE.0, "wrong")).await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    assert!(!answer.headers.contains_key("www-authenticate"), "only a 401 has a challenge");
    assert_eq!(answer.rejection.unwrap().kind(), RejectionKind::CredentialsRejected, "for layers outside");
    let missing = send(pact, form(None, GRANT)).await;
    assert_eq!(missing.failure(), (401, "invalid_client"));

    for status in [200, 204, 302, 100, 999] {
        let status = StatusCode::from_u16(status).unwrap();
        let endpoint = world.endpoint().map_errors(move |error| error.with_status(status));
        let answer = send(endpoint, form(None, GRANT)).await;
        assert_eq!(answer.failure(), (401, "invalid_client"), "{status}");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    // A 401 has a challenge, whatever it is about.
    let endpoint = world.endpoint().realm("r").unwrap();
    let endpoint = endpoint.map_errors(|error| error.with_status(StatusCode::UNAUTHORIZED));
    let answer = send(endpoint, form(None, "x=y")).await;
    assert_eq!(answer.failure(), (401, "invalid_request"));
    assert_eq!(answer.field("www-authenticate"), r#"Basic realm="r", charset="UTF-8""#);
}

/// RFC 6749, section 5.2, limits the characters of both members.
#[tokio::test(start_paused = true)]
async fn e5_codes_and_descriptions_have_no_characters_that_rfc_6749_forbids() {
    let world = World::unlimited();
    let in_form = world.endpoint().credentials_in_form();
    let mut seen = 0;
    for field in
        [None, Some("Basic"), Some("Basic YQ="), Some("Basic !"), Some("Basic /w=="), Some("Basic Og==")]
    {
        for body in [GRANT, "", "grant_type=x", "%", "client_secret=x&grant_type=client_credentials", "a&a"] {
            let answer = send(in_form.clone(), form(field, body)).await;
            for member in ["error", "error_description"] {
                let text = answer.json[member].as_str().unwrap();
                assert!(
                    text.bytes().all(|it| matches!(it, b' '..=b'~') && it != b'"' && it != b'\\'),
                    "{text}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 60);
}

#[tokio::test(start_paused = true)]
async fn e5_the_log_says_why_and_shows_no_secret() {
    let world = World::new();
    let endpoint = world.endpoint().credentials_in_form();
    let mut jwt = String::new();
    let log = logged(async {
        jwt = token(&endpoint, JANE).await.token().to_owned();
        token(&endpoint, (JANE.0, "a-wrong-password")).await;
        let body = format!("{GRANT}&client_id=jane&client_secret=another-wrong-one&client_id=x");
        send(endpoint.clone(), form(None, body)).await;
        let body = "grant_type=a-secret-in-a-wrong-place";
        send(endpoint.clone(), form(Some(&authorization(JANE)), body)).await;
        send(endpoint.clone(), form(None, format!("{GRANT}&scope=another-secret-in-a-wrong-place"))).await;
    })
    .await;
    assert!(log.contains("credentials_rejected") && log.contains("unsupported_grant_type"), "{log}");
    for secret in [&jwt, JANE.1, "a-wrong-password", "another-wrong-one", "in-a-wrong-place"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
    let debug = format!("{endpoint:?}");
    assert!(debug.starts_with("TokenEndpoint"), "{debug}");
}
