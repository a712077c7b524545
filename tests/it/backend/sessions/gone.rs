//! Sessions that have ended at Clerk, or are about to end, are replaced (rules K2, K4).

use std::time::Duration;

use super::{HOUR, MINUTE, sign_ins, world};
use crate::common::{JANE, World, rejection, session};
use crate::stores::StoreFile;
use tower_clerk::testing::GoneSession;

/// Clerk does not document how it answers for a session that has ended, so the test covers each likely answer.
#[tokio::test(start_paused = true)]
async fn k4_a_gone_session_is_replaced_once_for_every_error_code() {
    for gone in [GoneSession::NotFound, GoneSession::AuthenticationInvalid, GoneSession::InvalidAction] {
        let store = StoreFile::new();
        let first = World::backend_with(|fake| fake.gone_session(gone), |engine| engine.store(store.open()));
        let id = session(&first.get(JANE).await).session_id().to_owned();
        store.lose_logins().await;
        let again = first.restarted(|engine| engine.store(store.open()));
        assert_eq!(session(&again.get(JANE).await).session_id(), id);
        first.fake.revoke_session(&id);
        tokio::time::sleep(2 * MINUTE).await;
        let response = again.get(JANE).await;
        assert_eq!(response.status(), 200, "{gone:?}: {:?}", rejection(&response));
        assert_ne!(session(&response).session_id(), id, "{gone:?}");
        assert_eq!(sign_ins(&again), 2, "{gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_session_that_ended_before_a_restart_is_replaced() {
    let store = StoreFile::new();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    first.fake.revoke_session(&id);
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
    assert_eq!(sign_ins(&again), 2);
    // The engine knows when the session expires, and replaces it without a failed call.
    tokio::time::sleep(8 * 24 * HOUR).await;
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(sign_ins(&again), 3);
}

#[tokio::test(start_paused = true)]
async fn k2_a_session_is_replaced_shortly_before_it_ends() {
    let store = StoreFile::new();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    tokio::time::sleep(7 * 24 * HOUR - Duration::from_secs(30)).await;
    assert_eq!(first.fake.live_sessions(), 1, "the session is still open");
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    let next = session(&again.get(JANE).await).session_id().to_owned();
    assert_ne!(next, id);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(session(&again.get(JANE).await).session_id(), next);
    assert_eq!(sign_ins(&again), 2);
}
