//! The session on a known client, which the credentials of a user share.

use std::time::Duration;

use super::{killed, world};
use crate::common::{NEWDEVICE, NEWDEVICE_RESPELLED, World, code, enroll, rest, run_ready_tasks, session};
use crate::stores::SharedDevices;
use tower_clerk::Credentials;
use tower_clerk::testing::{Endpoint, Fault};

#[tokio::test(start_paused = true)]
async fn s10_a_wrong_password_ends_nothing_and_gets_nobody_in() {
    let devices = SharedDevices::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    let wrong = (NEWDEVICE.0, "not it");
    // While the session is live, and after a restart that knows nothing of it.
    for world in [first.clone(), killed(&first, &devices)] {
        rest().await;
        assert_eq!(code(&world.get(wrong).await), "credentials_rejected");
        run_ready_tasks().await;
        assert_eq!(first.fake.live_sessions(), 1);
    }
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s10_another_spelling_of_the_user_shares_the_session_and_does_not_end_it() {
    let devices = SharedDevices::default();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let first = world.get(NEWDEVICE).await;
    let other = world.get(NEWDEVICE_RESPELLED).await;
    assert_eq!(session(&first).session_id(), session(&other).session_id());
    let credentials = Credentials::new(NEWDEVICE_RESPELLED.0, NEWDEVICE_RESPELLED.1).unwrap();
    // One of the two is let go: the other one's session goes on.
    world.clerk.authenticate(&credentials, &tower_clerk::Access::new()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    for _ in 0..40 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.fake.live_sessions(), 1);
}

/// One of two entries that share a session goes: the other one's is still in use.
#[tokio::test(start_paused = true)]
async fn s10_a_shared_session_is_in_use_until_the_last_entry_goes() {
    let world = world(&SharedDevices::default(), |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(world.get(NEWDEVICE_RESPELLED).await.status(), 200);
    for _ in 0..70 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.clerk.stats().sessions, 1, "the second has run out");
    world.fake.clear_log();
    assert_eq!(world.get(("NEWDEVICE@example.com", NEWDEVICE.1)).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "it is tried from a fresh client first");
    assert_eq!(world.fake.live_sessions(), 1);
}

/// The answer to the end of one session comes when another one has been opened on the same client already.
#[tokio::test(start_paused = true)]
async fn k9_a_revoked_session_is_not_gone_on_with_however_late_clerk_answers_its_predecessors_end() {
    let second = Duration::from_secs(1);
    let world = World::unlimited();
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let mut ids = Vec::new();
    for fault in [Fault::DelayAnswer(4 * second), Fault::Delay(4 * second)] {
        let id = session(&world.get(NEWDEVICE).await).session_id().to_owned();
        world.fake.script(Endpoint::End, fault);
        world.clerk.revoke_session(&id);
        ids.push(id);
        tokio::time::sleep(second / 10).await;
        let response = world.get(NEWDEVICE).await;
        if response.status() == 200 {
            assert!(!ids.contains(&session(&response).session_id().to_owned()), "it was revoked");
        }
        rest().await;
    }
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
}
