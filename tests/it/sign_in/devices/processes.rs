//! Devices and sessions of processes that restart, or that run at the same time.

use std::time::Duration;

use super::{killed, world};
use crate::common::{NEWDEVICE, World, builder, enroll, rejection, rest, run_ready_tasks, session};
use crate::stores::SharedDevices;
use tower_clerk::store::{DeviceFile, StoreErrorKind};
use tower_clerk::testing::Endpoint;

#[tokio::test(start_paused = true)]
async fn s10_a_restarted_process_is_the_same_device() {
    let devices = SharedDevices::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let before = first.get(NEWDEVICE).await;
    assert_eq!(before.status(), 200);
    let id = session(&before).session_id().to_owned();
    for _ in 0..3 {
        let again = killed(&first, &devices);
        rest().await;
        let response = again.get(NEWDEVICE).await;
        assert_eq!(response.status(), 200, "{:?}", rejection(&response));
        assert_eq!(session(&response).session_id(), id, "the session that was left open is adopted");
    }
    assert_eq!(first.fake.live_sessions(), 1);
    assert_eq!(first.fake.count(Endpoint::End), 1, "only the session of the enrollment was ended");
}

#[tokio::test(start_paused = true)]
async fn s10_two_engines_with_separate_stores_never_end_each_others_sessions() {
    let first = world(&SharedDevices::default(), |fake| fake);
    let second = killed(&first, &SharedDevices::default());
    enroll(&first, NEWDEVICE).await;
    rest().await;
    enroll(&second, NEWDEVICE).await;
    rest().await;
    for _ in 0..200 {
        assert_eq!(first.get(NEWDEVICE).await.status(), 200);
        assert_eq!(second.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(first.fake.live_sessions(), 2);
}

/// Only one process at a time can open a device file.
#[tokio::test(start_paused = true)]
async fn s10_two_processes_on_one_device_file_never_end_each_others_sessions() {
    let path = std::env::temp_dir().join(format!("tower-clerk-devices-{}", std::process::id()));
    let file = DeviceFile::open(&path).unwrap();
    let first = World::with(|fake| fake, |engine| engine.device_store(file));
    let refused = DeviceFile::open(&path).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::InUse, "{refused}");
    let second = killed(&first, &SharedDevices::default());
    for world in [&first, &second] {
        enroll(world, NEWDEVICE).await;
        rest().await;
    }
    for _ in 0..300 {
        assert_eq!(first.get(NEWDEVICE).await.status(), 200);
        assert_eq!(second.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(first.fake.live_sessions(), 2);
    // The first process is killed and restarted: the file is unlocked, and has its device.
    drop(first.clerk);
    run_ready_tasks().await;
    let again =
        builder(&second.fake, second.clock).device_store(DeviceFile::open(&path).unwrap()).build().unwrap();
    let again = World { clerk: again, ..second.clone() };
    rest().await;
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
    assert_eq!(second.get(NEWDEVICE).await.status(), 200);
    drop(again);
    std::fs::remove_file(&path).unwrap();
}
