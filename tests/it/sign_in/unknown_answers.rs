//! Answers that this version does not know, and errors that open no circuit (rules S2, S3, P4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, code, logged};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tower_clerk::Clerk;
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, FakeClerk, Fault};
use tower_clerk::transport::{Transport, TransportFuture};

/// Answers sign-ins with an unknown status while `on` is set.
#[derive(Clone)]
struct UnknownStatus {
    fake: FakeClerk,
    on: Arc<AtomicBool>,
}

impl Transport for UnknownStatus {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let is_sign_in = request.uri().path() == "/v1/client/sign_ins";
            let response = self.fake.send(request).await?;
            if !is_sign_in || !self.on.load(Ordering::SeqCst) {
                return Ok(response);
            }
            let mut body: Value = serde_json::from_slice(response.body()).unwrap();
            body["response"]["status"] = "needs_something_of_tomorrow".into();
            body["response"]["created_session_id"] = Value::Null;
            Ok(response.map(|_| Bytes::from(body.to_string())))
        })
    }
}

/// An unknown answer is remembered for its credential, opens no circuit, and is not counted as a failure.
#[tokio::test(start_paused = true)]
async fn s3_an_unknown_answer_affects_only_its_credential() {
    for what in ["a status", "requires_captcha", "captcha_invalid", "a_code_of_tomorrow"] {
        let world = World::unlimited();
        let transport = UnknownStatus { fake: world.fake.clone(), on: Arc::default() };
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
        let log = logged(async {
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
        // The loop takes 55 s, and the warning is logged at most once a minute.
        assert_eq!(log.matches("WARN").count(), 1, "{what}: {log}");
        assert_eq!(world.clerk.stats().sign_in_circuit, CircuitState::Closed, "{what}");
        transport.on.store(false, Ordering::SeqCst);
        world.fake.clear_script(Endpoint::SignIns);
        for pair in [JANE, BOB, CAROL] {
            assert_eq!(world.get(pair).await.status(), 200, "{what}: no failure was counted");
        }
    }
}

/// If Clerk's answer to a renewal is unknown, the open session serves to the end of its proof.
#[tokio::test(start_paused = true)]
async fn s3_an_unknown_answer_to_a_renewal_ends_no_session() {
    let ttl = Duration::from_secs(900);
    let world = World::with(|fake| fake, |engine| engine.session_ttl(ttl));
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.script_always(Endpoint::SignIns, Fault::StatusWithCode(401, "requires_captcha".to_owned()));
    tokio::time::sleep(ttl.mul_f64(0.8)).await;
    for _ in 0..12 {
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert!(world.fake.count(Endpoint::SignIns) > 1, "a renewal was tried");
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Passes the body of each response through `change`.
struct Changed<F> {
    fake: FakeClerk,
    change: F,
}

impl<F: Fn(&str, &mut Value) + Send + Sync + 'static> Transport for Changed<F> {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let response = self.fake.send(request).await?;
            let mut body: Value = serde_json::from_slice(response.body()).unwrap();
            (self.change)(&path, &mut body);
            Ok(response.map(|_| Bytes::from(body.to_string())))
        })
    }
}

fn changed(change: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> World {
    let world = World::unlimited();
    let transport = Changed { fake: world.fake.clone(), change };
    let clerk = Clerk::builder(world.fake.fapi_url()).transport(transport).clock(world.clock);
    World { clerk: clerk.unlimited_sign_ins().build().unwrap(), ..world }
}

/// Adds an unknown field to each object, and sets the named fields to an unknown value.
fn make_unknown(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(make_unknown),
        Value::Object(fields) => {
            fields.values_mut().for_each(make_unknown);
            for name in ["object", "strategy", "role", "client_trust_state"] {
                if let Some(field) = fields.get_mut(name) {
                    *field = "of_tomorrow".into();
                }
            }
            fields.insert("of_tomorrow".to_owned(), json!({ "a": [1, null] }));
        }
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn s2_unknown_fields_and_values_are_tolerated() {
    let world = changed(|_, body| make_unknown(body));
    for organization in ["acme", "globex"] {
        assert_eq!(world.get_for(JANE, organization).await.status(), 200);
    }
    assert_eq!(world.get(BOB).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s2_a_missing_required_field_is_an_upstream_error_and_not_a_refusal() {
    for (object, field) in [
        ("", "response"),
        ("/response", "status"),
        ("/response", "created_session_id"),
        ("", "client"),
        ("/client", "sessions"),
        ("/client/sessions/0", "id"),
        ("/client/sessions/0", "status"),
        ("/client/sessions/0", "user"),
        ("/client/sessions/0/user", "id"),
    ] {
        let world = changed(move |path, body| {
            if path == "/v1/client/sign_ins" {
                let object = body.pointer_mut(object).unwrap().as_object_mut().unwrap();
                assert!(object.remove(field).is_some(), "the stand-in sends {field}");
            }
        });
        let response = world.get(JANE).await;
        super::faults::check_fault(&response, &format!("{object}/{field}"));
        assert_eq!(world.clerk.stats().failing_subjects, 0);
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
