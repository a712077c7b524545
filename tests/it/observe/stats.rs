//! Statistics and metrics add up, and reveal no user (rules O2, C6).

use std::time::Duration;

use crate::common::{BOB, JANE, World, ask, basic, run_ready_tasks, with_authorization};
use crate::crowd::{Rng, add_users};
use http::Request;
use metrics_exporter_prometheus::PrometheusBuilder;
use tower_clerk::Clerk;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, Fault};

/// Sends requests of every kind, some of which are cancelled, and returns their number.
async fn mixed_traffic(world: &World) -> u64 {
    let users = add_users(&world.fake, 10);
    let mut rng = Rng::new(11);
    let mut requests = 0;
    let mut tasks = Vec::new();
    for at in 0..600_usize {
        let user = &users[at % users.len()];
        let optional = at % 3 == 0;
        let request = match at % 9 {
            0 => Request::get("/").body(()).unwrap(),
            1 => with_authorization("Basic !!!"),
            2 => with_authorization("Bearer abc"),
            3 => basic((&user.name, "a wrong password")),
            4 => basic(("mfa@example.com", "second factor please")),
            5 => basic(("expired@example.com", "please choose a new one")),
            _ => basic((&user.name, &user.password)),
        };
        let mut layer = world.layer();
        if at % 7 == 0 {
            layer = layer.organization("globex").unwrap();
        }
        requests += 1;
        // The client cancels the request if it is not answered by then, some of them right after the start.
        let patience = rng.between(Duration::ZERO, Duration::from_secs(8));
        tasks.push(tokio::spawn(async move {
            if optional {
                _ = tokio::time::timeout(patience, ask(&layer.optional(), request)).await;
            } else {
                _ = tokio::time::timeout(patience, ask(&layer, request)).await;
            }
        }));
        if at % 50 == 10 {
            world.fake.script(Endpoint::SignIns, Fault::Status(503));
            world.fake.script(Endpoint::Tokens, Fault::Hang);
        }
        if at % 97 == 0 {
            world.clerk.revoke_all();
        }
        tokio::time::sleep(rng.between(Duration::ZERO, Duration::from_secs(2))).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    requests
}

#[tokio::test(start_paused = true)]
async fn o2_outcomes_add_up_to_requests_in_mixed_traffic() {
    let world = World::new();
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(700)));
    let requests = mixed_traffic(&world).await;
    let stats = world.clerk.stats();
    assert_eq!(stats.total(), requests, "{:?}", stats.requests);
    let malformed: u64 = stats.malformed.iter().map(|(_, count)| count).sum();
    assert_eq!(malformed, stats.count(Outcome::Malformed));
    let seen: Vec<_> = stats.requests.iter().filter(|(_, count)| *count > 0).map(|(it, _)| *it).collect();
    for outcome in [
        Outcome::Hit,
        Outcome::Minted,
        Outcome::SignedIn,
        Outcome::Anonymous,
        Outcome::Missing,
        Outcome::Malformed,
        Outcome::Denied,
        Outcome::Rejected,
        Outcome::ActionRequired,
        Outcome::SecondFactor,
        Outcome::Joined,
        Outcome::OrganizationForbidden,
        Outcome::Unavailable,
        Outcome::Cancelled,
    ] {
        assert!(seen.contains(&outcome), "no {outcome:?} among {seen:?}");
    }
    run_ready_tasks().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let stats = world.clerk.stats();
    assert_eq!((stats.sign_in_flights, stats.mint_flights, stats.sign_in_queue, stats.ending), (0, 0, 0, 0));
    let calls: u64 = stats.upstream.iter().map(|calls| calls.count).sum();
    assert_eq!(calls, world.fake.count(Endpoint::Any) as u64, "every call to Clerk is counted once");
}

#[tokio::test(start_paused = true)]
async fn o2_a_disconnected_client_is_counted_once() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    for pair in [JANE, JANE, BOB] {
        let layer = world.layer();
        let task = tokio::spawn(async move { ask(&layer, basic(pair)).await });
        run_ready_tasks().await;
        task.abort();
        run_ready_tasks().await;
    }
    hold.release();
    run_ready_tasks().await;
    let stats = world.clerk.stats();
    assert_eq!((stats.count(Outcome::Cancelled), stats.total()), (3, 3));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!((world.clerk.stats().count(Outcome::Hit), world.clerk.stats().total()), (1, 4));
}

/// The recorder is local to this thread, so the runtime must be single-threaded.
#[test]
fn o2_no_metric_names_a_user_and_the_number_of_series_is_fixed() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            Clerk::describe_metrics();
            let world = World::new();
            mixed_traffic(&world).await;
            world.clerk.publish_metrics();
            let first = handle.render();
            let stats = world.clerk.stats();
            let hits = stats.count(Outcome::Hit);
            let hits = format!("tower_clerk_requests_total{{outcome=\"hit\",api=\"frontend\"}} {hits}");
            assert!(first.contains(&hits), "{hits} in {first}");
            assert!(first.contains("tower_clerk_circuit_open{circuit=\"sign_in\"} 0"), "{first}");
            for (reason, count) in &stats.malformed {
                let line = format!("tower_clerk_malformed_total{{reason=\"{}\"}} {count}", reason.name());
                assert!(first.contains(&line), "{line} in {first}");
            }
            for secret in
                ["@", "user", "sess_", "client_", "org_", "password", "Basic", "eyJ", "jane", "globex"]
            {
                let named = first.lines().filter(|line| !line.starts_with('#'));
                let named: Vec<_> = named.filter(|line| line.contains(secret)).collect();
                let counts = [
                    "tower_clerk_max_users_per_address ",
                    "tower_clerk_max_active_users ",
                    "tower_clerk_malformed_total{reason=\"empty_password\"}",
                    // The types of events, such as `user.updated`.
                    "tower_clerk_webhooks_total{event=\"user.",
                ];
                let named: Vec<_> =
                    named.iter().filter(|line| !counts.iter().any(|count| line.starts_with(count))).collect();
                assert!(named.is_empty(), "{secret} in {named:?}");
            }
            let labels = |text: &str| -> std::collections::BTreeSet<String> {
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                let names = lines
                    .flat_map(|line| line.split(['{', ',', '}']).map(ToOwned::to_owned).collect::<Vec<_>>());
                let known = [
                    "outcome=",
                    "api=",
                    "operation=",
                    "result=",
                    "circuit=",
                    "quantile=",
                    "reason=",
                    "event=",
                ];
                names
                    .filter(|part| part.contains('=') && !known.iter().any(|known| part.starts_with(known)))
                    .collect()
            };
            assert!(labels(&first).is_empty(), "{:?}", labels(&first));
        });
    });
}

#[test]
fn c6_no_metric_of_the_backend_provider_shows_a_key_a_ticket_or_a_user() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            Clerk::describe_metrics();
            let world = World::backend();
            mixed_traffic(&world).await;
            world.clerk.preflight().await;
            world.clerk.revoke_all();
            tokio::time::sleep(Duration::from_secs(5)).await;
            world.clerk.publish_metrics();
            let text = handle.render();
            for seen in [
                "api=\"backend\"",
                "operation=\"verify_password\"",
                "operation=\"ticket\"",
                "operation=\"ticket_sign_in\"",
                "operation=\"revoke\"",
                "tower_clerk_max_active_users 360",
            ] {
                assert!(text.contains(seen), "{seen} in {text}");
            }
            let key = world.fake.secret_key();
            for secret in ["@", "user_", "sess_", "client_", "org_", "sk_", &key[8..], "eyJ", "jane", "acme"]
            {
                let mut lines = text.lines().filter(|line| !line.starts_with('#'));
                assert!(!lines.any(|line| line.contains(secret)), "{secret} in {text}");
            }
        });
    });
}

/// Recording a latency costs little compared with the call to Clerk, so it happens at once.
#[test]
fn o2_requests_are_recorded_on_publish_and_latencies_at_once() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            for _ in 0..3 {
                assert_eq!(world.get(JANE).await.status(), 200);
            }
            let before = handle.render();
            assert!(!before.contains("tower_clerk_requests_total"), "{before}");
            assert!(before.contains("tower_clerk_upstream_seconds"), "{before}");
            world.clerk.publish_metrics();
            let text = handle.render();
            let hits = text.lines().find(|line| line.contains("outcome=\"hit\"")).unwrap();
            assert!(hits.ends_with(" 2"), "{hits}");
            for gauge in ["sessions", "denials", "sign_in_flights", "mint_flights", "sign_in_queue"] {
                assert!(text.contains(&format!("tower_clerk_{gauge} ")), "no {gauge} in {text}");
            }
        });
    });
}
