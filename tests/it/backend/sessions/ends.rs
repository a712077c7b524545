//! Which sessions are ended at Clerk and which stay open (rule K10).

use std::time::Duration;

use super::{HOUR, MINUTE, ended, sign_ins, world};
use crate::common::{BOB, CAROL, JANE, Pair, World, code, session};
use crate::stores::StoreFile;
use tower_clerk::transport::Transport as _;

/// Signs in like a browser, without the engine.
async fn browser_session(world: &World, (identifier, password): Pair) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("strategy", "password"), ("identifier", identifier), ("password", password)])
        .finish();
    let request = http::Request::post(world.fake.fapi_url() + "/v1/client/sign_ins?_is_native=1")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(bytes::Bytes::from(form))
        .unwrap();
    let response = world.fake.send(request).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    body["response"]["created_session_id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn k10_only_sessions_opened_by_the_engine_are_used_and_ended() {
    let world = World::backend();
    let browser = browser_session(&world, JANE).await;
    let response = world.get(JANE).await;
    assert_ne!(session(&response).session_id(), browser);
    world.clerk.revoke_user(session(&response).user_id());
    assert_eq!(ended(&world).await, 1);
    assert_eq!(world.fake.live_sessions_of("jane"), 1, "the browser's session stays open");
}

#[tokio::test(start_paused = true)]
async fn k10_expiry_eviction_and_shutdown_end_no_stored_session() {
    let store = StoreFile::new();
    let first = World::backend_with(
        |fake| fake,
        |engine| engine.store(store.open()).max_sessions(1).proof_renewal(false),
    );
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(first.get(pair).await.status(), 200);
    }
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(first.clerk.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(ended(&first).await, 0);
    assert_eq!(first.fake.live_sessions(), 3);
}

#[tokio::test(start_paused = true)]
async fn k10_shutdown_ends_sessions_held_only_in_memory() {
    let world = World::backend();
    for pair in [JANE, BOB] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    assert_eq!(world.clerk.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn k10_a_session_that_lost_its_organization_is_ended_with_its_entry() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    store.lose_logins().await;
    let process = first.restarted(|engine| engine.store(store.open()).proof_renewal(false));
    assert_eq!(process.get(JANE).await.status(), 200);
    assert_eq!(process.get_for(JANE, "acme").await.status(), 200);
    assert_eq!(process.fake.live_sessions(), 2);
    process.fake.remove_member("jane", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&process.get_for(JANE, "acme").await), "organization_forbidden");
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!((ended(&process).await, process.fake.live_sessions()), (1, 1));
    assert_eq!(process.get(JANE).await.status(), 200);
    assert_eq!(sign_ins(&process), 2, "the stored session stays in use");
}
