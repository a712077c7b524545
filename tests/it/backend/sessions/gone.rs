//! Sessions that are over at Clerk, or about to be, are replaced (rule K4).

use std::time::Duration;

use super::{HOUR, MINUTE, sign_ins, world};
use crate::common::{JANE, World, rejection, session};
use crate::stores::SharedSessions;
use tower_clerk::testing::GoneSession;

/// Clerk doesn't say how it answers for a session that is over: each of its ways is understood.
#[tokio::test(start_paused = true)]
async fn k4_a_session_that_is_gone_is_replaced_once_whatever_clerk_calls_it() {
    for gone in [GoneSession::NotFound, GoneSession::AuthenticationInvalid, GoneSession::InvalidAction] {
        let store = SharedSessions::default();
        let first =
            World::backend_with(|fake| fake.gone_session(gone), |engine| engine.session_store(store.clone()));
        let id = session(&first.get(JANE).await).session_id().to_owned();
        let again = first.restarted(|engine| engine.session_store(store.clone()));
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
async fn k4_a_session_that_was_over_before_the_restart_is_replaced() {
    let store = SharedSessions::default();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    first.fake.revoke_session(&id);
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
    assert_eq!(sign_ins(&again), 2);
    // And the end of its life is known without asking.
    tokio::time::sleep(8 * 24 * HOUR).await;
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(sign_ins(&again), 3);
}

#[tokio::test(start_paused = true)]
async fn k2_a_session_that_is_about_to_end_is_replaced_before_it_does() {
    let store = SharedSessions::default();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    tokio::time::sleep(7 * 24 * HOUR - Duration::from_secs(30)).await;
    assert_eq!(first.fake.live_sessions(), 1, "it is there yet");
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    let next = session(&again.get(JANE).await).session_id().to_owned();
    assert_ne!(next, id);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(session(&again.get(JANE).await).session_id(), next);
    assert_eq!(sign_ins(&again), 2);
}
