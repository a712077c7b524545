//! The session on a known client, which the credentials of a user share.

use std::time::Duration;

use super::{killed, world};
use crate::common::{NEWDEVICE, NEWDEVICE_RESPELLED, World, code, enroll, rest, run_ready_tasks, session};
use crate::stores::StoreFile;
use tower_clerk::Credentials;
use tower_clerk::testing::{Endpoint, Fault};

#[tokio::test(start_paused = true)]
async fn s10_a_wrong_password_is_rejected_and_ends_no_session() {
    let devices = StoreFile::new();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    let wrong = (NEWDEVICE.0, "not it");
    // While the session is live, and after a restart that knows nothing of it.
    devices.lose_logins().await;
    for world in [first.clone(), killed(&first, &devices)] {
        rest().await;
        assert_eq!(code(&world.get(wrong).await), "credentials_rejected");
        run_ready_tasks().await;
        assert_eq!(first.fake.live_sessions(), 1);
    }
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s10_another_spelling_of_an_identifier_shares_the_session_and_does_not_end_it() {
    let devices = StoreFile::new();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let first = world.get(NEWDEVICE).await;
    let other = world.get(NEWDEVICE_RESPELLED).await;
    assert_eq!(session(&first).session_id(), session(&other).session_id());
    let credentials = Credentials::new(NEWDEVICE_RESPELLED.0, NEWDEVICE_RESPELLED.1).unwrap();
    // The second spelling's entry expires, and the session stays open for the first.
    world.clerk.authenticate(&credentials, &tower_clerk::Access::new()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    for _ in 0..40 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Two entries share a session. When one of them expires, the other one still uses the session.
#[tokio::test(start_paused = true)]
async fn s10_a_shared_session_is_in_use_until_its_last_entry_expires() {
    let world = World::with(|fake| fake, |engine| engine);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(world.get(NEWDEVICE_RESPELLED).await.status(), 200);
    for _ in 0..70 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.clerk.stats().sessions, 1, "the second entry has expired");
    world.fake.clear_log();
    assert_eq!(world.get(("NEWDEVICE@example.com", NEWDEVICE.1)).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "a fresh client is tried first");
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Clerk answers the end of one session after another session was opened on the same client.
#[tokio::test(start_paused = true)]
async fn k9_a_revoked_session_is_never_adopted_however_late_clerk_answers_an_earlier_end() {
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
            assert!(
                !ids.contains(&session(&response).session_id().to_owned()),
                "a revoked session was adopted"
            );
        }
        rest().await;
    }
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
}
