//! D4: credentials of one user, where one of them holds a session on the known device that is over at Clerk.
//!
//! The instance trusts known devices alone (Device Trust), so a credential gets in by the known client or not at all
//! (rule S10).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use tower_clerk::testing::Endpoint;
use tower_clerk::{DeviceStore, KnownDevice, MemoryDevices, Transport as _};

use super::{NEWDEVICE, NEWDEVICE_RESPELLED, enroll};
use crate::common::{World, code, session};

/// How often the second credential tries, and how long after each other.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(15);

/// A store that a test can look into.
#[derive(Clone, Default)]
struct Shared(Arc<MemoryDevices>);

impl DeviceStore for Shared {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.0.get(identifier)
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        self.0.put(identifier, device);
    }

    fn remove(&self, identifier: &str) {
        self.0.remove(identifier);
    }

    fn remove_user(&self, user_id: &str) {
        self.0.remove_user(user_id);
    }

    fn clear(&self) {
        self.0.clear();
    }
}

/// An engine whose device is known, with a session of the first credential. Returns that session's id.
async fn world(devices: &Shared) -> (World, String) {
    let devices = devices.clone();
    let world = World::with(|fake| fake, |engine| engine.device_store(devices));
    enroll(&world).await;
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

/// D4: the known client has nothing on it any more, and is taken for in use by the first credential's session.
#[tokio::test(start_paused = true)]
async fn s10_a_session_revoked_while_idle_keeps_no_other_credential_of_its_user_out() {
    let (world, id) = world(&Shared::default()).await;
    assert!(world.fake.revoke_session(&id), "the session was live");
    let (answers, sign_ins) = try_again_and_again(&world).await;
    // One from a fresh client, as long as the session is taken for live, and one from the known client.
    assert!(
        answers.iter().all(|answer| answer.0 == 200) && sign_ins <= 2,
        "D4: a right credential was kept out by a session that is over: {answers:?}, {sign_ins} sign-ins"
    );
    let again = world.get(NEWDEVICE).await;
    assert_eq!(again.status(), 200, "the first credential gets in as well");
}

/// D4: the known client is gone. It is no device any more, so the refusal is remembered like any other.
#[tokio::test(start_paused = true)]
async fn k11_a_device_that_is_gone_makes_no_try_cost_a_sign_in() {
    let devices = Shared::default();
    let (world, _) = world(&devices).await;
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
        "D4: a client that is gone was taken for a device: {answers:?}, {sign_ins} sign-ins"
    );
}
