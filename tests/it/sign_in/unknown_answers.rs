//! Answers that mean nothing to this version, and other refusals that are no failure of Clerk's (rules S3, P4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, code, logged};
use bytes::Bytes;
use http::Request;
use tower_clerk::Clerk;
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, FakeClerk, Fault};
use tower_clerk::transport::{Transport, TransportFuture};

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

/// Such an answer is remembered for the credential, opens no circuit, and counts as no failure.
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
