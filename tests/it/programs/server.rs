//! The example `server` tells of itself and of sessions (rule O6).

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_clerk::testing::{Endpoint, Fault};
use tower_clerk::{ClerkPrincipal, ClerkSession};

use super::watch::{Unready, findings, waits};
use super::{readiness, shown};
use crate::common::{JANE, World, ask, basic, in_time, logged};

/// The answer of `/readyz`.
async fn ready(unready: &Unready) -> (u16, String) {
    let app = readiness::route(unready.subscribe());
    let response = app.oneshot(Request::get("/readyz").body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn o6_a_server_is_unready_while_its_instance_lets_nobody_in_and_ready_when_that_is_mended() {
    let world = World::backend();
    world.fake.script_always(Endpoint::BackendJwks, Fault::StatusWithCode(401, "clerk_key_invalid".into()));
    let unready = Unready::default();
    let log = logged(async {
        let watched = findings(&world.clerk, &unready);
        let told = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let (status, reason) = ready(&unready).await;
            assert_eq!(status, 503, "{reason}");
            assert!(reason.contains("refuses the secret key"), "{reason}");
            tokio::time::sleep(Duration::from_secs(60)).await;
            world.fake.clear_script(Endpoint::BackendJwks);
        };
        in_time(async { tokio::join!(watched, told) }).await;
    })
    .await;
    assert_eq!(ready(&unready).await, (200, "ready".to_owned()));
    let told = log.lines().filter(|line| line.contains("ERROR") && line.contains("secret key"));
    assert_eq!(told.count(), 1, "a finding is logged once, however often it is found: {log}");
    assert!(log.contains("users can sign in"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn o6_an_outage_of_clerk_leaves_a_server_ready() {
    let world = World::new();
    world.fake.script_always(Endpoint::Any, Fault::Refused);
    let unready = Unready::default();
    let log = logged(async {
        _ = tokio::time::timeout(Duration::from_secs(5), findings(&world.clerk, &unready)).await;
    })
    .await;
    assert!(log.contains("ERROR") && log.contains("no connection"), "{log}");
    assert_eq!(ready(&unready).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn o6_sign_ins_that_wait_for_their_turn_are_logged_every_ten_seconds() {
    let world = World::new();
    let log = logged(async {
        let layer = world.layer();
        let users = (0..10).map(|number| {
            let layer = layer.clone();
            let user = format!("nobody{number}@example.com");
            async move { ask(&layer, basic((&user, "wrong"))).await }
        });
        let requests: Vec<_> = users.map(tokio::spawn).collect();
        _ = tokio::time::timeout(Duration::from_secs(12), waits(&world.clerk)).await;
        drop(requests);
    })
    .await;
    let told: Vec<_> = log.lines().filter(|line| line.contains("wait for their turn")).collect();
    assert!(told[0].contains("waiting=") && !log.contains("nobody"), "{log}");
    assert!((1..=2).contains(&told.len()), "{log}");
}

#[tokio::test(start_paused = true)]
async fn o6_the_token_of_an_instance_that_is_not_on_this_machine_is_shown_without_its_signature() {
    let world = World::new();
    let session = world.get(JANE).await.extensions().get::<ClerkSession>().cloned();
    let session = session.expect("the tests' service hands the session back");
    let whole = session.token().to_owned();
    let json = shown::principal(&ClerkPrincipal::Session(session), &HeaderMap::new());
    let token = json["jwt"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 2, "{token}");
    assert!(whole.starts_with(token) && whole.len() > token.len() + 100);
}
