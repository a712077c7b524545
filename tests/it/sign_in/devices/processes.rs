//! Devices and sessions of processes that restart, or that run at the same time.

use std::time::Duration;

use super::{killed, world};
use crate::common::{NEWDEVICE, enroll, rejection, rest, session, settle};
use crate::stores::StoreFile;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

#[tokio::test(start_paused = true)]
async fn s10_a_restarted_process_is_the_same_device() {
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let before = first.get(NEWDEVICE).await;
    assert_eq!(before.status(), 200);
    let id = session(&before).session_id().to_owned();
    for _ in 0..3 {
        devices.lose_logins().await;
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
    let stores = [StoreFile::new(), StoreFile::new()];
    let first = world(&stores[0], |fake| fake);
    let second = killed(&first, &stores[1]);
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

/// The old and the new process of a deploy run at the same time for a while.
#[tokio::test(start_paused = true)]
async fn s10_two_processes_on_one_store_share_one_device_and_its_session() {
    let store = StoreFile::new();
    let first = world(&store, FakeClerkBuilder::no_rate_limit);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let id = session(&first.get(NEWDEVICE).await).session_id().to_owned();
    settle().await;
    let second = killed(&first, &store);
    first.fake.clear_log();
    assert_eq!(session(&second.get(NEWDEVICE).await).session_id(), id);
    for _ in 0..300 {
        assert_eq!(first.get(NEWDEVICE).await.status(), 200);
        assert_eq!(second.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(first.fake.live_sessions(), 1);
    assert_eq!(first.fake.count(Endpoint::PrepareSecondFactor), 0);
}
