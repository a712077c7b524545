//! How long a device stays known.

use std::time::Duration;

use super::calls::enroll_without_a_code;
use super::{HOUR, killed, world};
use crate::common::{JANE, NEWDEVICE, World, code, enroll, rest, session};
use crate::stores::{DEVICE, StoreFile};
use tower_clerk::testing::{Endpoint, FakeClerk};

#[tokio::test(start_paused = true)]
async fn s10_a_known_device_outlives_proofs_and_sessions() {
    let world = World::with(|fake| fake, |engine| engine);
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
        let devices = StoreFile::new();
        let world = world(&devices, |fake| fake.device_trust(device_trust));
        if device_trust {
            enroll(&world, JANE).await;
        } else {
            enroll_without_a_code(&world, JANE).await;
        }
        // The same instance, without the client that it has let in.
        let fake = FakeClerk::builder().clock(world.clock).device_trust(device_trust).build();
        devices.lose_logins().await;
        let again = killed(&World { fake, ..world.clone() }, &devices);
        let forgotten = devices.sealed(DEVICE);
        let response = again.get(JANE).await;
        assert_eq!(code(&response), if device_trust { "account_action_required" } else { "" });
        // Which waits for the writes.
        again.clerk.shutdown(HOUR).await;
        assert_ne!(devices.sealed(DEVICE), forgotten);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_a_user_forgets_the_users_device() {
    let devices = StoreFile::new();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let user = session(&world.get(NEWDEVICE).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    rest().await;
    assert_eq!(devices.count(DEVICE), 0);
    assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required");
}
