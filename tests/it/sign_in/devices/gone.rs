//! Two credentials of one user, one of which has a session on the known client that is over at Clerk.
//!
//! The instance trusts only known devices (Device Trust), so a credential must use the known client.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use tower_clerk::store::DeviceStore as _;
use tower_clerk::testing::Endpoint;
use tower_clerk::transport::Transport as _;

use super::world;
use crate::common::{NEWDEVICE, NEWDEVICE_RESPELLED, World, code, enroll, rest, session};
use crate::stores::SharedDevices;

/// How often the second credential tries, and the pause after each try.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(15);

/// An engine with a known device and a session of the first credential. Returns that session's id as well.
async fn signed_in(devices: &SharedDevices) -> (World, String) {
    let world = world(devices, |fake| fake);
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
    let (world, id) = signed_in(&SharedDevices::default()).await;
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

/// A deleted client is no longer a known device, so the refusal is remembered like any other.
#[tokio::test(start_paused = true)]
async fn k11_a_deleted_client_does_not_cost_a_sign_in_per_request() {
    let devices = SharedDevices::default();
    let (world, _) = signed_in(&devices).await;
    let device = devices.get(NEWDEVICE.0).unwrap();
    let request = Request::delete(world.fake.fapi_url() + "/v1/client?_is_native=1")
        .header(AUTHORIZATION, device.client_token())
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
