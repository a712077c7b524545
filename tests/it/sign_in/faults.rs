//! Whatever goes wrong at Clerk: a 5xx within the deadline, never a 401, and the next request works (rules S4, S5, S6,
//! S9).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, code, rejection, session};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower_clerk::testing::{Endpoint, FakeClerk, Fault, RetryAfter, TokenFlaw};
use tower_clerk::{
    CircuitState, Clerk, ClerkBasicAuthLayer, MAX_BODY, Transport, TransportError, TransportFuture,
};

const DEADLINE: Duration = Duration::from_secs(5);

/// Faults that keep an answer from being of any use, at whatever endpoint.
fn faults() -> Vec<Fault> {
    let statuses = [408, 418, 425, 500, 502, 503, 504, 521];
    let mut faults: Vec<Fault> = statuses.into_iter().map(Fault::Status).collect();
    faults.extend([200, 401, 403, 404, 502].map(Fault::Html));
    // What only Clerk can say with a 4xx is nothing to go by when a 5xx says it.
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

/// Holds an answer against what every fault must be answered with.
#[track_caller]
fn check_fault(response: &Response<String>, what: &str) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}: {:?}", rejection(response));
    assert!(["upstream_unavailable", "upstream_rate_limited"].contains(&code(response)), "{what}");
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=330).contains(&wait), "{what}: Retry-After {wait}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("www-authenticate"), "{what}");
}

/// Waits as long as an answer asks to, and a little more.
async fn wait_as_told(response: &Response<String>) {
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
}

#[tokio::test(start_paused = true)]
async fn s4_every_fault_of_a_sign_in_is_a_503_in_time_and_over_with_the_next_request() {
    for fault in faults() {
        let world = World::new();
        let what = format!("{fault:?}");
        world.fake.script(Endpoint::SignIns, fault);
        let start = world.clock.now();
        let response = world.get(JANE).await;
        check_fault(&response, &what);
        assert!(world.clock.now() - start <= DEADLINE, "{what}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "S5: a sign-in is never repeated: {what}");
        // What nobody knows is remembered for `negative_ttl` (S3), everything else not at all.
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
async fn s4_every_fault_of_a_mint_is_a_503_in_time_and_leaves_the_session_alone() {
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
async fn k4_every_fault_of_a_renewal_is_a_503_at_the_tokens_end_and_never_a_new_sign_in() {
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
async fn s9_every_fault_of_the_key_set_is_a_503_in_time_and_over_with_the_next_request() {
    for fault in faults() {
        let world = World::new();
        let what = format!("{fault:?}");
        // Both the sign-in's token and the one minted in its place ask for the keys.
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
async fn s9_a_token_with_a_flaw_is_never_handed_on() {
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
        // The token that comes with the sign-in is replaced by one that is minted; that one has the flaw, too.
        world.fake.script(Endpoint::SignIns, Fault::TokenWith(flaw));
        world.fake.script(Endpoint::Tokens, Fault::TokenWith(flaw));
        let response = world.get(JANE).await;
        check_fault(&response, &format!("{flaw:?}"));
        assert_eq!(world.get(JANE).await.status(), 200, "{flaw:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{flaw:?}");

        // A flawed token of the sign-in alone costs nothing but a mint.
        world.fake.script(Endpoint::SignIns, Fault::TokenWith(flaw));
        assert_eq!(world.get(BOB).await.status(), 200, "{flaw:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 2, "{flaw:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s2_the_session_is_the_one_named_wherever_it_stands() {
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
async fn s6_one_deadline_for_the_whole_exchange_however_many_calls_it_takes() {
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

/// Refuses to connect, or breaks off, a number of times.
struct Unreachable {
    fake: FakeClerk,
    times: AtomicUsize,
    connect: bool,
    tried: Arc<AtomicUsize>,
}

impl Transport for Unreachable {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::SeqCst);
            let left =
                self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match left {
                Ok(_) if self.connect => Err(TransportError::connect("refused")),
                Ok(_) => Err(TransportError::broken("reset")),
                Err(_) => self.fake.send(request).await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s5_only_what_did_not_reach_clerk_is_tried_again_and_only_once() {
    for (times, connect, status, tries) in [(1, true, 200, 2), (2, true, 503, 2), (1, false, 503, 1)] {
        let world = World::new();
        let tried = Arc::new(AtomicUsize::new(0));
        let transport =
            Unreachable { fake: world.fake.clone(), times: times.into(), connect, tried: Arc::clone(&tried) };
        let clerk =
            Clerk::builder(world.fake.fapi_url()).transport(transport).clock(world.clock).build().unwrap();
        let layer = ClerkBasicAuthLayer::new(clerk);
        let response = ask(&layer, basic(JANE)).await;
        assert_eq!(response.status(), status, "{times} {connect}");
        // The key set is fetched as well where the sign-in went well.
        assert_eq!(tried.load(Ordering::SeqCst), tries + usize::from(status == 200), "{times} {connect}");
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    }
}

/// A transport that doesn't keep to the bound.
struct Large(FakeClerk);

impl Transport for Large {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let response = self.0.send(request).await?;
            Ok(response.map(|body| Bytes::from([&body[..], &vec![b' '; MAX_BODY]].concat())))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s6_a_body_over_a_mebibyte_is_refused_whoever_brings_it() {
    let world = World::new();
    let clerk =
        Clerk::builder(world.fake.fapi_url()).transport(Large(world.fake.clone())).clock(world.clock).build();
    check_fault(&ask(&ClerkBasicAuthLayer::new(clerk.unwrap()), basic(JANE)).await, "large");
}

/// Answers sign-ins with a status that nobody knows, as long as it is told to.
#[derive(Clone)]
struct OfTomorrow {
    fake: FakeClerk,
    on: Arc<AtomicBool>,
}

impl Transport for OfTomorrow {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let is_sign_in = request.uri().path() == "/v1/client/sign_ins";
            let response = self.fake.send(request).await?;
            if !is_sign_in || !self.on.load(Ordering::SeqCst) {
                return Ok(response);
            }
            let mut body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            body["response"]["status"] = "needs_something_of_tomorrow".into();
            body["response"]["created_session_id"] = serde_json::Value::Null;
            Ok(response.map(|_| Bytes::from(body.to_string())))
        })
    }
}

/// D6. They are remembered for the credential, open no circuit, and count as no failure.
#[tokio::test(start_paused = true)]
async fn s3_what_nobody_knows_is_the_credentials_own_trouble() {
    for what in ["a status", "requires_captcha", "captcha_invalid", "a_code_of_tomorrow"] {
        let world = World::unlimited();
        let transport = OfTomorrow { fake: world.fake.clone(), on: Arc::default() };
        let clerk = Clerk::builder(world.fake.fapi_url())
            .transport(transport.clone())
            .clock(world.clock)
            .unlimited_sign_ins()
            .build()
            .unwrap();
        let world = World { clerk, ..world };
        match what {
            "a status" => transport.on.store(true, Ordering::SeqCst),
            code => {
                let status = if code == "requires_captcha" { 401 } else { 400 };
                world.fake.script_always(Endpoint::SignIns, Fault::StatusWithCode(status, code.to_owned()));
            }
        }
        let log = crate::common::logged(async {
            for round in 1..=5 {
                for pair in [JANE, BOB, CAROL] {
                    let response = world.get(pair).await;
                    assert_eq!(code(&response), "upstream_unavailable", "{what}");
                    assert_eq!(response.headers()["retry-after"], "10", "{what}, round {round}");
                    assert_eq!(code(&world.get(pair).await), "upstream_unavailable");
                }
                let asked = world.fake.count(Endpoint::SignIns);
                assert_eq!(asked, 3 * round, "{what}: remembered for ten seconds");
                tokio::time::sleep(Duration::from_secs(11)).await;
            }
        })
        .await;
        // 55 s: a warning at the start, and none before a minute is over.
        assert_eq!(log.matches("WARN").count(), 1, "{what}: {log}");
        assert_eq!(world.clerk.stats().sign_in_circuit, CircuitState::Closed, "{what}");
        transport.on.store(false, Ordering::SeqCst);
        world.fake.clear_script(Endpoint::SignIns);
        for pair in [JANE, BOB, CAROL] {
            assert_eq!(world.get(pair).await.status(), 200, "{what}: no failure was counted");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p4_no_4xx_opens_a_circuit() {
    let page = || Fault::Html(403);
    let world = World::unlimited();
    world.fake.script_always(Endpoint::SignIns, page());
    for _ in 0..3 {
        for pair in [JANE, BOB, CAROL] {
            assert_eq!(code(&world.get(pair).await), "upstream_unavailable");
        }
    }
    assert_eq!(world.clerk.stats().sign_in_circuit, CircuitState::Closed);
    world.fake.clear_script(Endpoint::SignIns);
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    world.fake.script_always(Endpoint::Tokens, page());
    for _ in 0..3 {
        for pair in [JANE, BOB, CAROL] {
            assert_eq!(code(&world.get(pair).await), "upstream_unavailable");
        }
    }
    assert_eq!(world.clerk.stats().mint_circuit, CircuitState::Closed);
}
