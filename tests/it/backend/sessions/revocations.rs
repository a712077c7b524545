//! Revocations (rule K9).

use std::time::Duration;

use super::{REVOCATIONS, ended, world};
use crate::common::{JANE, Pair, World, ask, basic, in_time, run_ready_tasks, session};
use crate::stores::{SESSION, StoreFile};
use tower_clerk::testing::Endpoint;

/// Jane's user id, which is the same in every stand-in.
const JANE_ID: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";

#[tokio::test(start_paused = true)]
async fn k9_revocations_end_stored_sessions_and_the_next_request_verifies_the_password() {
    for (name, revoke) in REVOCATIONS {
        for restarted in [false, true] {
            let store = StoreFile::new();
            let first = world(&store);
            let response = first.get(JANE).await;
            let (user, id) =
                (session(&response).user_id().to_owned(), session(&response).session_id().to_owned());
            // A restarted process knows the session only from the store.
            store.lose_logins().await;
            let process =
                if restarted { first.restarted(|engine| engine.store(store.open())) } else { first.clone() };
            revoke(&process, &user, &id);
            assert_eq!(ended(&process).await, 1, "{name}");
            assert_eq!(process.fake.live_sessions(), 0, "{name}");
            let proofs = process.fake.count(Endpoint::VerifyPassword);
            let response = process.get(JANE).await;
            assert_ne!(session(&response).session_id(), id, "{name}");
            assert_eq!(process.fake.count(Endpoint::VerifyPassword), proofs + 1, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k9_an_organization_session_is_revoked_like_any_other() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    store.lose_logins().await;
    let process = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let response = process.get_for(JANE, "acme").await;
    let acme = session(&response).session_id().to_owned();
    assert_ne!(session(&process.get(JANE).await).session_id(), acme);
    process.clerk.revoke_session(&acme);
    assert_eq!(ended(&process).await, 1);
    let response = process.get_for(JANE, "acme").await;
    assert_eq!(response.status(), 200);
    assert_ne!(session(&response).session_id(), acme, "no token of a revoked session is served");
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_during_a_sign_in_leaves_no_session_behind() {
    for endpoint in [Endpoint::VerifyPassword, Endpoint::SignInTokens, Endpoint::SignIns] {
        let store = StoreFile::new();
        let world = world(&store);
        let hold = world.fake.hold_answer(endpoint);
        let request = {
            let world = world.clone();
            tokio::spawn(async move { world.get(JANE).await.status() })
        };
        while hold.waiting() == 0 {
            run_ready_tasks().await;
        }
        world.clerk.revoke_user(JANE_ID);
        hold.release();
        assert_eq!(request.await.unwrap(), 200, "the sign-in is retried");
        run_ready_tasks().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.fake.live_sessions(), 1, "{endpoint:?}");
        let live = world.fake.sessions().into_iter().find(|it| it.is_live()).unwrap();
        assert_eq!(store.count(SESSION), 1, "{endpoint:?}");
        store.lose_logins().await;
        let next = world.restarted(|engine| engine.store(store.open()));
        assert_eq!(session(&next.get(JANE).await).session_id(), live.id(), "{endpoint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_during_an_organization_sign_in_leaves_no_session_behind() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    store.lose_logins().await;
    let process = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let hold = process.fake.hold_answer(Endpoint::SignIns);
    let request = {
        let process = process.clone();
        tokio::spawn(async move { process.get_for(JANE, "acme").await })
    };
    while hold.waiting() == 0 {
        run_ready_tasks().await;
    }
    process.clerk.revoke_user(JANE_ID);
    hold.release();
    assert_ne!(request.await.unwrap().status(), 200);
    assert_eq!(ended(&process).await, 2);
    assert_eq!(process.fake.live_sessions(), 0);
    assert_eq!(store.count(SESSION), 0);
}

/// The revocation cannot reach the flight that opened the session, and the next flight must not find it in the store.
#[tokio::test(start_paused = true)]
async fn k9_a_session_opened_before_a_revocation_is_not_stored_after_it() {
    let world = World::backend();
    let (keys, hold) = (world.fake.hold(Endpoint::Jwks), world.fake.hold_answer(Endpoint::SignIns));
    let spawn = |pair: Pair| {
        let world = world.clone();
        tokio::spawn(async move { world.get(pair).await })
    };
    let before = spawn(JANE);
    in_time(hold.arrived(1)).await;
    let old = world.fake.sessions().last().unwrap().id().to_owned();
    world.clerk.revoke_user(JANE_ID);
    let after = spawn(("jane", JANE.1));
    run_ready_tasks().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    hold.release();
    tokio::time::sleep(Duration::from_millis(200)).await;
    keys.release();
    for response in [before.await.unwrap(), after.await.unwrap()] {
        assert_ne!(session(&response).session_id(), old);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = world.fake.sessions().iter().find(|it| it.id() == old).unwrap().status();
    assert_eq!(format!("{status:?}"), "Revoked");
}

#[tokio::test(start_paused = true)]
async fn k9_a_request_after_a_revocation_joins_no_sign_in_from_before_it() {
    let store = StoreFile::new();
    let first = world(&store);
    let claims = serde_json::Map::new();
    first.fake.add_template("partner", Duration::from_secs(120), claims);
    assert_eq!(first.get(JANE).await.status(), 200);
    store.lose_logins().await;
    let world = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(world.get(JANE).await.status(), 200);
    let hold = world.fake.hold(Endpoint::UserMemberships);
    let send = || {
        let layer = world.layer().template("partner").unwrap().organization("acme").unwrap();
        tokio::spawn(async move { ask(&layer, basic(JANE)).await })
    };
    let before = send();
    in_time(hold.arrived(1)).await;
    world.clerk.revoke_user(JANE_ID);
    assert_eq!(world.get(JANE).await.status(), 200);
    let after = send();
    run_ready_tasks().await;
    hold.release();
    before.await.unwrap();
    assert_eq!(after.await.unwrap().status(), 200);
}
