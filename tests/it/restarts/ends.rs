//! Which process ends a session that a record keeps (rule K10).

use std::time::Duration;

use super::{Api, BOTH, HOUR, MINUTE, same};
use crate::common::{BOB, CAROL, JANE, NEWDEVICE, enroll, rest, session, settle};
use crate::stores::{LOGIN, StoreFile};
use tower_clerk::testing::Endpoint;

#[tokio::test(start_paused = true)]
async fn k10_a_shutdown_ends_no_session_that_a_record_keeps() {
    for api in BOTH {
        let store = StoreFile::new();
        let first = api.world(&store, same);
        let mut ids = Vec::new();
        for pair in [JANE, BOB, CAROL] {
            ids.push(session(&first.get(pair).await).session_id().to_owned());
        }
        // At once: the last record may still have to be written.
        assert_eq!(first.clerk.shutdown(Duration::from_secs(10)).await, 0);
        assert_eq!((store.count(LOGIN), first.fake.live_sessions()), (3, 3), "{api:?}");
        first.fake.clear_log();
        let again = api.next(&first, &store, same);
        for (pair, id) in [JANE, BOB, CAROL].into_iter().zip(&ids) {
            assert_eq!(session(&again.get(pair).await).session_id(), id, "{api:?}");
        }
        assert_eq!(first.fake.count(Endpoint::SignIns), 0, "{api:?}");
    }
}

/// The record outlives the session, since it tells that Clerk has accepted the credential.
#[tokio::test(start_paused = true)]
async fn k10_the_end_of_a_recorded_proof_ends_its_session_on_time() {
    let store = StoreFile::new();
    let first = Api::Frontend.world(&store, |engine| engine.proof_renewal(false));
    assert_eq!(first.get(JANE).await.status(), 200);
    tokio::time::sleep(56 * MINUTE).await;
    assert_eq!(first.fake.live_sessions(), 1);
    tokio::time::sleep(5 * MINUTE).await;
    settle().await;
    assert_eq!((first.fake.live_sessions(), store.count(LOGIN)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn k10_an_evicted_session_is_kept_for_the_users_next_request() {
    let store = StoreFile::new();
    let world = Api::Frontend.world(&store, |engine| engine.max_sessions(1));
    let mut ids = Vec::new();
    for pair in [JANE, BOB] {
        ids.push(session(&world.get(pair).await).session_id().to_owned());
        settle().await;
    }
    for _ in 0..3 {
        for (pair, id) in [JANE, BOB].into_iter().zip(&ids) {
            assert_eq!(session(&world.get(pair).await).session_id(), id);
            settle().await;
        }
    }
    assert_eq!((world.fake.count(Endpoint::SignIns), world.fake.live_sessions()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn k10_a_renewal_ends_the_session_that_it_replaces() {
    let store = StoreFile::new();
    let world = Api::Frontend.world(&store, same);
    for _ in 0..200 {
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::sleep(MINUTE).await;
    }
    settle().await;
    assert_eq!((world.fake.live_sessions(), store.count(LOGIN)), (1, 1));
}

/// With Device Trust a renewal keeps the session. So the proofs of two processes on one session end at different times.
#[tokio::test(start_paused = true)]
async fn k10_a_session_that_another_process_goes_on_with_is_not_ended() {
    let store = StoreFile::new();
    let first = Api::Frontend.world(&store, |engine| engine.proof_renewal(false));
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let id = session(&first.get(NEWDEVICE).await).session_id().to_owned();
    settle().await;
    let second = Api::Frontend.next(&first, &store, same);
    for _ in 0..90 {
        assert_eq!(session(&second.get(NEWDEVICE).await).session_id(), id);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(first.clerk.stats().sessions, 0, "the first process has no proof any more");
    assert_eq!(first.fake.live_sessions(), 1);
    drop(second);
    tokio::time::sleep(HOUR).await;
}
