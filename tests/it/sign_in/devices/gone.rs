//! Two credentials of one user, one of which has a session on the known client that is over at Clerk.
//!
//! The instance trusts only known devices (Device Trust), so a credential must use the known client.

use std::time::Duration;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use tower_clerk::testing::{Endpoint, FakeClerk};
use tower_clerk::transport::{Transport, TransportFuture};

use crate::common::{NEWDEVICE, NEWDEVICE_RESPELLED, World, builder, code, enroll, rest, session};

/// How often the second credential tries, and the pause after each try.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(15);

/// An engine with a known device and a session of the first credential. Returns that session's id as well.
async fn signed_in(world: World) -> (World, String) {
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let response = world.get(NEWDEVICE).await;
    let id = session(&response).session_id().to_owned();
    world.fake.clear_log();
    (world, id)
}

/// Sends requests with the second credential. Returns the answers, and the number of sign-ins.
async fn retry_second_credential(world: &World) -> (Vec<(u16, &'static str)>, usize) {
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        let response = world.get(NEWDEVICE_RESPELLED).await;
        answers.push((response.status().as_u16(), code(&response)));
        tokio::time::sleep(PAUSE).await;
    }
    (answers, world.fake.count(Endpoint::SignIns))
}

/// A session that is over blocks the known client only for as long as the engine takes it for live.
#[tokio::test(start_paused = true)]
async fn s10_a_session_revoked_while_idle_blocks_no_other_credential_of_its_user() {
    let (world, id) = signed_in(World::with(|fake| fake, |engine| engine)).await;
    assert!(world.fake.revoke_session(&id), "the session was live");
    let (answers, sign_ins) = retry_second_credential(&world).await;
    // One sign-in from a fresh client while the session is taken for live, and one from the known client.
    assert!(
        answers.iter().all(|answer| answer.0 == 200) && sign_ins <= 2,
        "a session that is over blocked a right credential: {answers:?}, {sign_ins} sign-ins"
    );
    let again = world.get(NEWDEVICE).await;
    assert_eq!(again.status(), 200, "the first credential gets in as well");
}

/// Notes the last client token of the instance.
struct Tapped {
    fake: FakeClerk,
    token: Arc<Mutex<Option<HeaderValue>>>,
}

impl Transport for Tapped {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let response = self.fake.send(request).await?;
            if response.status().is_success()
                && let Some(token) = response.headers().get(AUTHORIZATION)
            {
                *self.token.lock().unwrap() = Some(token.clone());
            }
            Ok(response)
        })
    }
}

/// A deleted client is no longer a known device, so the refusal is remembered like any other.
#[tokio::test(start_paused = true)]
async fn k11_a_deleted_client_does_not_cost_a_sign_in_per_request() {
    let token = Arc::new(Mutex::new(None));
    let tapped = World::with(|fake| fake, |engine| engine);
    let tap = Tapped { fake: tapped.fake.clone(), token: Arc::clone(&token) };
    let clerk = builder(&tapped.fake, tapped.clock).transport(tap).build().unwrap();
    let (world, _) = signed_in(World { clerk, ..tapped }).await;
    let token: HeaderValue = token.lock().unwrap().clone().unwrap();
    let request = Request::delete(world.fake.fapi_url() + "/v1/client?_is_native=1")
        .header(AUTHORIZATION, token)
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.fake.send(request).await.unwrap().status(), 200, "the client is deleted");
    world.fake.clear_log();
    let (answers, sign_ins) = retry_second_credential(&world).await;
    // The first denial is remembered for ten seconds, the next one for a minute.
    assert!(
        answers.iter().all(|answer| *answer == (403, "account_action_required")) && sign_ins <= 2,
        "a deleted client was taken for a known device: {answers:?}, {sign_ins} sign-ins"
    );
}
