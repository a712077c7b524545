//! Credentials by Basic or in the form (rule E2), and the protection of accounts and budget.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tower_clerk::testing::{Endpoint, FakeUser, Fault};
use tower_clerk::{Credentials, RejectionKind};

use super::{GRANT, form, send, token, token_with};
use crate::common::{BOB, JANE, World, authorization, rest};

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test(start_paused = true)]
async fn e2_basic_is_taken_as_it_is_or_form_encoded_and_never_both() {
    let world = World::unlimited();
    world.fake.add_user(FakeUser::new("user+tag@x.io").password("p%41ss"));
    world.fake.add_user(FakeUser::new("user@x.io").password("pAss"));
    let (plain, encoding) = (world.endpoint(), world.endpoint().form_encoded_credentials());
    assert_eq!(token(&plain, ("user+tag@x.io", "p%41ss")).await.status, 200);
    assert_eq!(token(&encoding, (&encoded("user+tag@x.io"), &encoded("p%41ss"))).await.status, 200);
    assert_eq!(token(&encoding, ("user@x.io", "p%41ss")).await.status, 200, "a way to write pAss");

    // One attempt each: the other way is not tried.
    for (endpoint, pair) in [
        (&plain, (&*encoded("user+tag@x.io"), &*encoded("p%41ss"))),
        (&plain, ("user@x.io", "p%41ss")),
        (&encoding, ("user+tag@x.io", "p%41ss")),
    ] {
        let before = world.fake.count(Endpoint::SignIns);
        assert_eq!(token(endpoint, pair).await.failure(), (401, "invalid_client"), "{pair:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns) - before, 1, "{pair:?}");
    }
    assert_eq!(token(&encoding, ("user%4", "x")).await.failure(), (401, "invalid_client"));
}

#[tokio::test(start_paused = true)]
async fn e2_all_ways_to_send_a_credential_share_one_session_with_a_layer() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(token(&world.endpoint(), JANE).await.status, 200);
    let encoding = world.endpoint().form_encoded_credentials();
    assert_eq!(token(&encoding, (&encoded(JANE.0), &encoded(JANE.1))).await.status, 200);
    let in_form = world.endpoint().credentials_in_form();
    let body = format!("{GRANT}&client_id={}&client_secret={}", encoded(JANE.0), encoded(JANE.1));
    assert_eq!(send(in_form, form(None, body)).await.status, 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn e2_credentials_in_the_form_are_an_opt_in() {
    let world = World::new();
    let in_form = world.endpoint().credentials_in_form();
    let body = |id: &str, secret: &str| format!("{GRANT}&client_id={id}&client_secret={secret}");
    let jane = body(&encoded(JANE.0), &encoded(JANE.1));

    let answer = send(world.endpoint(), form(None, jane.clone())).await;
    assert_eq!(answer.failure(), (401, "invalid_client"));
    assert!(answer.json["error_description"].as_str().unwrap().contains("HTTP Basic"), "{answer:?}");
    assert_eq!(world.fake.count(Endpoint::Any), 0);

    assert_eq!(send(in_form.clone(), form(None, jane)).await.status, 200);
    assert_eq!(token(&in_form, JANE).await.status, 200, "Basic is accepted as well");
    for (body, failure) in [
        (body("", &encoded(JANE.1)), (400, "invalid_request")),
        (body(&encoded(JANE.0), ""), (401, "invalid_client")),
        (body("%ff", "x"), (401, "invalid_client")),
        (body("jane%3Ax", "x"), (401, "invalid_client")),
        (body("jane", "x%00"), (401, "invalid_client")),
        (body("jane", "%4"), (400, "invalid_request")),
        (body(&encoded(JANE.0), "wrong"), (401, "invalid_client")),
        (body("jane", &"x".repeat(7000)), (401, "invalid_client")),
    ] {
        let answer = send(in_form.clone(), form(None, body.clone())).await;
        assert_eq!(answer.failure(), failure, "{body:.60}");
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 2, "one right and one wrong password");
}

#[tokio::test(start_paused = true)]
async fn e2_two_ways_of_authentication_at_once_are_invalid_request() {
    let world = World::new();
    let jane = authorization(JANE);
    for endpoint in [world.endpoint(), world.endpoint().credentials_in_form()] {
        for field in [&*jane, "Bearer x", "Basic !"] {
            for body in ["client_id=x&client_secret=y", "client_secret=y"] {
                let request = form(Some(field), format!("{GRANT}&{body}"));
                let answer = send(endpoint.clone(), request).await;
                assert_eq!(answer.failure(), (400, "invalid_request"), "{field:.8} {body}");
            }
        }
        let mut request = form(Some(&jane), GRANT);
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_str(&jane).unwrap());
        assert_eq!(send(endpoint, request).await.failure(), (400, "invalid_request"));
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn e2_a_client_id_beside_basic_must_be_that_of_the_credentials() {
    let world = World::new();
    let same = format!("client_id={}", encoded(JANE.0));
    assert_eq!(token_with(&world.endpoint(), JANE, &same).await.status, 200);
    let other = format!("client_id={}", encoded(BOB.0));
    assert_eq!(token_with(&world.endpoint(), JANE, &other).await.failure(), (400, "invalid_request"));
}

#[tokio::test(start_paused = true)]
async fn e2_missing_and_malformed_credentials_and_another_scheme_cost_no_call() {
    let world = World::new();
    for (field, kind) in [
        (None, RejectionKind::CredentialsMissing),
        (Some("Bearer eyJhbGciOiJSUzI1NiJ9.e30.x"), RejectionKind::CredentialsMissing),
        (Some("Digest username=x"), RejectionKind::CredentialsMissing),
        (Some("Basic"), RejectionKind::CredentialsMalformed),
        (Some("Basic !!!!"), RejectionKind::CredentialsMalformed),
        (Some("Basic amFuZQ=="), RejectionKind::CredentialsMalformed),
    ] {
        let answer = send(world.endpoint(), form(field, GRANT)).await;
        assert_eq!(answer.failure(), (401, "invalid_client"), "{field:?}");
        assert_eq!(answer.rejection.as_ref().unwrap().kind(), kind, "{field:?}");
        assert_eq!(answer.field("www-authenticate"), r#"Basic realm="api", charset="UTF-8""#);
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(world.clerk.stats().total(), 6, "each is counted");
}

#[tokio::test(start_paused = true)]
async fn e2_guessing_is_slowed_down_as_at_a_layer_and_does_not_touch_a_known_client() {
    let world = World::unlimited();
    assert_eq!(token(&world.endpoint(), JANE).await.status, 200);
    let mut statuses = Vec::new();
    for guess in 0..6 {
        statuses.push(token(&world.endpoint(), (JANE.0, &format!("guess {guess}"))).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    let throttled = token(&world.endpoint(), (JANE.0, "one more")).await;
    assert_eq!(throttled.failure(), (429, "temporarily_unavailable"));
    assert!(throttled.field("retry-after").parse::<u64>().unwrap() > 60);
    assert_eq!(token(&world.endpoint(), JANE).await.status, 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 5);
}

/// Two sources share the budget: thirty guesses from one don't delay the client of the other by their number.
#[tokio::test(start_paused = true)]
async fn e2_the_sign_in_budget_is_fair_between_sources() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_wait(Duration::from_secs(60)));
    let endpoint = world.endpoint().source_key(|parts| parts.extensions.get::<IpAddr>().copied());
    let from = |address: [u8; 4], pair: (&str, &str)| {
        let mut request = form(Some(&authorization(pair)), GRANT);
        request.extensions_mut().insert(IpAddr::from(address));
        request
    };
    let mut guesses = tokio::task::JoinSet::new();
    for at in 0..30 {
        let request = from([192, 0, 2, 1], (&format!("made-up-{at}"), "x"));
        guesses.spawn(send(endpoint.clone(), request));
    }
    crate::common::run_ready_tasks().await;
    let start = tokio::time::Instant::now();
    assert_eq!(send(endpoint.clone(), from([192, 0, 2, 2], BOB)).await.status, 200);
    assert!(start.elapsed() <= Duration::from_secs(20), "{:?}", start.elapsed());
    guesses.abort_all();
    rest().await;
}

#[tokio::test(start_paused = true)]
async fn e2_requests_at_once_share_one_sign_in() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::Delay(Duration::from_secs(1)));
    let endpoint = world.endpoint();
    let all = futures_of(50, || token(&endpoint, JANE)).await;
    assert!(all.iter().all(|answer| answer.status == 200));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.clerk.stats().total(), 50, "each is counted once");
    let credentials = Credentials::new(JANE.0, JANE.1).unwrap();
    let session = world.clerk.authenticate(&credentials, &tower_clerk::Access::new()).await.unwrap();
    assert_eq!(session.token(), all[0].token(), "the token of the session that a layer hands on");
}

/// Runs `count` futures at once.
async fn futures_of<F: Future>(count: usize, make: impl Fn() -> F) -> Vec<F::Output> {
    let mut futures: Vec<_> = (0..count).map(|_| (Box::pin(make()), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test(start_paused = true)]
async fn e2_credentials_in_the_query_are_none() {
    let world = World::new();
    let mut request = form(None, GRANT);
    *request.uri_mut() = "/token?client_id=jane&client_secret=x".parse().unwrap();
    let answer = send(world.endpoint().credentials_in_form(), request).await;
    assert_eq!(answer.failure(), (401, "invalid_client"));
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}
