//! Devices on a machine whose clock is wrong.

use std::time::{Duration, SystemTime};

use super::{HOUR, world};
use crate::common::{NEWDEVICE, World, builder, code, enroll, rest};
use crate::stores::StoreFile;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk};

/// The engine uses Clerk's clock from Clerk's first answer on.
#[tokio::test(start_paused = true)]
async fn k2_a_wrong_wall_clock_at_startup_expires_no_device() {
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let ahead = Clock::starting_at(first.clock.wall() + 40 * 24 * HOUR);
    let clerk = builder(&first.fake, ahead).store(devices.open()).build().unwrap();
    let again = World { clock: ahead, fake: first.fake.clone(), clerk };
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
    assert_eq!(again.fake.count(Endpoint::PrepareSecondFactor), 1);
    // This process has stored the device since, dated by Clerk's clock: it is too old 31 days later, and not 40 days after
    // that.
    tokio::time::sleep(31 * 24 * HOUR).await;
    assert_eq!(code(&again.get(NEWDEVICE).await), "account_action_required");
}

/// The machine's clock is ahead when the file is opened.
#[tokio::test(start_paused = true)]
async fn k2_opening_a_file_with_a_wrong_clock_loses_no_device() {
    let store = StoreFile::new();
    // Files are opened by the machine's own clock, which is ahead of Clerk's.
    let clock = Clock::starting_at(SystemTime::now() - 40 * 24 * HOUR);
    let fake = FakeClerk::builder().clock(clock).build();
    for round in 0..2 {
        let clerk = builder(&fake, clock).store(store.open()).build().unwrap();
        let world = World { clock, fake: fake.clone(), clerk };
        if round == 0 {
            enroll(&world, NEWDEVICE).await;
            rest().await;
        }
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        world.clerk.shutdown(Duration::from_secs(5)).await;
        rest().await;
    }
}
