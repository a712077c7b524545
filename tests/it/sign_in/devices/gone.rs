//! Credentials of one user, where one of them holds a session on the known client that is over at Clerk.
//!
//! The instance trusts known devices alone (Device Trust), so a credential gets in by the known client or not at all.

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

/// How often the second credential tries, and how long after each other.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(15);

/// An engine whose device is known, with a session of the first credential. Returns that session's id.
async fn signed_in(devices: &SharedDevices) -> (World, String) {
    let world = world(devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let response = world.get(NEWDEVICE).await;
    let id = session(&response).session_id().to_owned();
    world.fake.clear_log();
    (world, id)
}

/// Has the second credential try again and again. Returns what it is answered, and how many sign-ins that costs.
async fn try_again_and_again(world: &World) -> (Vec<(u16, &'static str)>, usize) {
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        let response = world.get(NEWDEVICE_RESPELLED).await;
        answers.push((response.status().as_u16(), code(&response)));
        tokio::time::sleep(PAUSE).await;
    }
    (answers, world.fake.count(Endpoint::SignIns))
}

/// A session that is over keeps the known client busy for no longer than the engine takes it for live.
#[tokio::test(start_paused = true)]
async fn s10_a_session_revoked_while_idle_keeps_no_other_credential_of_its_user_out() {
    let (world, id) = signed_in(&SharedDevices::default()).await;
    assert!(world.fake.revoke_session(&id), "the session was live");
    let (answers, sign_ins) = try_again_and_again(&world).await;
    // One from a fresh client, as long as the session is taken for live, and one from the known client.
    assert!(
        answers.iter().all(|answer| answer.0 == 200) && sign_ins <= 2,
        "a right credential was kept out by a session that is over: {answers:?}, {sign_ins} sign-ins"
    );
    let again = world.get(NEWDEVICE).await;
    assert_eq!(again.status(), 200, "the first credential gets in as well");
}

/// A known client that is gone is no device any more, so the refusal is remembered like any other.
#[tokio::test(start_paused = true)]
async fn k11_a_device_that_is_gone_makes_no_try_cost_a_sign_in() {
    let devices = SharedDevices::default();
    let (world, _) = signed_in(&devices).await;
    let device = devices.get(NEWDEVICE.0).unwrap();
    let request = Request::delete(world.fake.fapi_url() + "/v1/client?_is_native=1")
        .header(AUTHORIZATION, device.client_token())
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.fake.send(request).await.unwrap().status(), 200, "the client is deleted");
    world.fake.clear_log();
    let (answers, sign_ins) = try_again_and_again(&world).await;
    // A refusal is remembered for ten seconds at first, for a minute after the next.
    assert!(
        answers.iter().all(|answer| *answer == (403, "account_action_required")) && sign_ins <= 2,
        "a client that is gone was taken for a device: {answers:?}, {sign_ins} sign-ins"
    );
}
