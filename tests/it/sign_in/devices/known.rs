//! How long a device stays known.

use std::time::{Duration, SystemTime};

use super::{HOUR, world};
use crate::common::{JANE, NEWDEVICE, code, enroll, rest, session};
use crate::stores::SharedDevices;
use tower_clerk::store::{DeviceStore, KnownDevice};
use tower_clerk::testing::Endpoint;

#[tokio::test(start_paused = true)]
async fn s10_a_known_device_outlives_proofs_and_sessions() {
    let world = world(&SharedDevices::default(), |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    for _ in 0..3 {
        for _ in 0..90 {
            assert_eq!(world.get(NEWDEVICE).await.status(), 200);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        // Long enough for the proof to run out and the session to be ended.
        tokio::time::sleep(3 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 0);
    }
    assert_eq!(world.fake.count(Endpoint::PrepareSecondFactor), 1);
    tokio::time::sleep(29 * 24 * HOUR).await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200, "within 30 days of its last successful sign-in");
    tokio::time::sleep(31 * 24 * HOUR).await;
    assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required", "and no longer");
}

#[tokio::test(start_paused = true)]
async fn s10_a_client_that_clerk_has_forgotten_is_dropped() {
    for device_trust in [false, true] {
        let devices = SharedDevices::default();
        let world = world(&devices, |fake| fake.device_trust(device_trust));
        let device = KnownDevice::new("user_somebody", "eyJhbGciOiJub25lIn0.e30.x", SystemTime::now());
        devices
            .put("jane@example.com", KnownDevice::new("user_x", device.client_token(), world.clock.wall()));
        let response = world.get(JANE).await;
        assert_eq!(code(&response), if device_trust { "account_action_required" } else { "" });
        let stored = devices.get("jane@example.com");
        assert!(stored.is_none_or(|stored| stored.client_token() != device.client_token()));
    }
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_a_user_forgets_the_users_device() {
    let devices = SharedDevices::default();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let user = session(&world.get(NEWDEVICE).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    rest().await;
    assert!(devices.get(NEWDEVICE.0).is_none());
    assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required");
}
