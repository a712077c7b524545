//! Revocations (rule K9).

use std::time::Duration;

use super::{REVOCATIONS, ended, world};
use crate::common::{JANE, session, settle};
use crate::stores::SharedSessions;
use tower_clerk::SessionStore as _;
use tower_clerk::testing::Endpoint;

/// The stand-in's ids are the same at every start.
const JANE_ID: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";

#[tokio::test(start_paused = true)]
async fn k9_revocations_end_what_is_kept_and_the_next_request_proves_itself() {
    for (what, revoke) in REVOCATIONS {
        for restarted in [false, true] {
            let store = SharedSessions::default();
            let first = world(&store);
            let response = first.get(JANE).await;
            let (user, id) =
                (session(&response).user_id().to_owned(), session(&response).session_id().to_owned());
            // A process that has the id from the store alone can end it, too.
            let by = if restarted {
                first.restarted(|engine| engine.session_store(store.clone()))
            } else {
                first.clone()
            };
            revoke(&by, &user, &id);
            assert_eq!(ended(&by).await, 1, "{what}");
            assert_eq!(by.fake.live_sessions(), 0, "{what}");
            let proofs = by.fake.count(Endpoint::VerifyPassword);
            let response = by.get(JANE).await;
            assert_ne!(session(&response).session_id(), id, "{what}");
            assert_eq!(by.fake.count(Endpoint::VerifyPassword), proofs + 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_session_opened_for_another_organization_is_revoked_like_any_other() {
    let store = SharedSessions::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let response = process.get_for(JANE, "acme").await;
    let beside = session(&response).session_id().to_owned();
    assert_ne!(session(&process.get(JANE).await).session_id(), beside);
    process.clerk.revoke_session(&beside);
    assert_eq!(ended(&process).await, 1);
    let response = process.get_for(JANE, "acme").await;
    assert_eq!(response.status(), 200);
    assert_ne!(session(&response).session_id(), beside, "no token of a revoked session is served");
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_during_a_sign_in_leaves_no_session_behind() {
    for endpoint in [Endpoint::VerifyPassword, Endpoint::SignInTokens, Endpoint::SignIns] {
        let store = SharedSessions::default();
        let world = world(&store);
        let hold = world.fake.hold_answer(endpoint);
        let asking = {
            let world = world.clone();
            tokio::spawn(async move { world.get(JANE).await.status() })
        };
        while hold.waiting() == 0 {
            settle().await;
        }
        world.clerk.revoke_user(JANE_ID);
        hold.release();
        assert_eq!(asking.await.unwrap(), 200, "it is asked once more");
        settle().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.fake.live_sessions(), 1, "{endpoint:?}");
        let live = world.fake.sessions().into_iter().find(|it| it.is_live()).unwrap();
        let kept = store.get(JANE_ID, None).await.unwrap();
        assert_eq!(kept.session_id(), live.id(), "{endpoint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_while_a_session_is_opened_beside_another_leaves_none_behind() {
    let store = SharedSessions::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let hold = process.fake.hold_answer(Endpoint::SignIns);
    let asking = {
        let process = process.clone();
        tokio::spawn(async move { process.get_for(JANE, "acme").await })
    };
    while hold.waiting() == 0 {
        settle().await;
    }
    process.clerk.revoke_user(JANE_ID);
    hold.release();
    assert_ne!(asking.await.unwrap().status(), 200);
    assert_eq!(ended(&process).await, 2);
    assert_eq!(process.fake.live_sessions(), 0);
    assert!(store.take_user(JANE_ID).await.is_empty());
}
