//! Which of a user's sessions serves which organization.

use std::collections::HashSet;

use tokio::task::JoinSet;
use tower_clerk::testing::Endpoint;

use super::{HOUR, MINUTE, sign_ins, world};
use crate::common::{BOB, JANE, World, code, in_time, organization_of, run_ready_tasks, session};
use crate::stores::StoreFile;

#[tokio::test(start_paused = true)]
async fn k10_an_organization_session_survives_a_restart_without_a_sign_in() {
    let store = StoreFile::new();
    let first = world(&store);
    for organization in ["acme", "acme"] {
        assert_eq!(organization_of(&first.get_for(JANE, organization).await), Some("acme"));
    }
    assert_eq!(sign_ins(&first), 1, "one session serves both requests");
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    first.fake.clear_log();
    let response = again.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&response), Some("acme"));
    assert!(session(&response).has_role("org:admin"));
    assert_eq!(sign_ins(&again), 0);
    // Another organization and the personal account each need a further session, which later processes use again.
    for _ in 0..2 {
        store.lose_logins().await;
        let process = first.restarted(|engine| engine.store(store.open()));
        for organization in ["acme", "globex"] {
            assert_eq!(organization_of(&process.get_for(JANE, organization).await), Some(organization));
        }
        assert_eq!(organization_of(&process.get(JANE).await), None);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(sign_ins(&again), 2);
}

#[tokio::test(start_paused = true)]
async fn s7_one_sign_in_serves_all_organizations_while_its_client_token_is_known() {
    let world = World::backend();
    for organization in ["acme", "globex", "acme"] {
        assert_eq!(organization_of(&world.get_for(JANE, organization).await), Some(organization));
    }
    assert_eq!(organization_of(&world.get(JANE).await), None);
    assert_eq!(sign_ins(&world), 1);
}

/// This includes entries of other identifiers, and entries created after the first one expired.
#[tokio::test(start_paused = true)]
async fn s7_one_sign_in_serves_all_identifiers_and_organizations_of_a_user_in_a_process() {
    let world = World::backend();
    for pair in [JANE, ("jane", JANE.1), ("JANE", JANE.1)] {
        for organization in ["acme", "globex"] {
            assert_eq!(organization_of(&world.get_for(pair, organization).await), Some(organization));
        }
        assert_eq!(organization_of(&world.get(pair).await), None);
        tokio::time::sleep(3 * HOUR).await;
    }
    assert_eq!((sign_ins(&world), world.fake.live_sessions()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn s7_a_forbidden_organization_costs_no_sign_in() {
    let store = StoreFile::new();
    let first = world(&store);
    for organization in ["globex", "nowhere", "org_2pqaQ9F4o9MNRSlx8VeMRn5hZug"] {
        assert_eq!(code(&first.get_for(BOB, organization).await), "organization_forbidden", "{organization}");
    }
    assert_eq!(first.get(BOB).await.status(), 200);
    assert_eq!(sign_ins(&first), 1);
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    for _ in 0..3 {
        assert_eq!(code(&again.get_for(BOB, "globex").await), "organization_forbidden");
        assert_eq!(again.get(BOB).await.status(), 200);
    }
    assert_eq!(sign_ins(&again), 1);
    assert_eq!(again.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_a_removed_member_is_rejected_and_a_returning_member_is_served() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get_for(BOB, "acme").await.status(), 200);
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(again.get_for(BOB, "acme").await.status(), 200);
    again.fake.remove_member("bob", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&again.get_for(BOB, "acme").await), "organization_forbidden");
    assert_eq!(again.get(BOB).await.status(), 200, "the personal account is still served");
    again.fake.add_member("bob", "acme", "org:admin");
    tokio::time::sleep(2 * MINUTE).await;
    let response = again.get_for(BOB, "acme").await;
    assert!(session(&response).has_role("org:admin"));
}

#[tokio::test(start_paused = true)]
async fn k4_one_session_serves_an_organization_by_its_id_and_by_its_slug() {
    let store = StoreFile::new();
    let first = world(&store);
    let by_slug = first.get_for(JANE, "acme").await;
    let id = session(&by_slug).organization().unwrap().id().to_owned();
    // Without the stored session's client token, each organization needs a session of its own.
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    let by_id = again.get_for(JANE, &id).await;
    for name in ["acme", &*id, "acme"] {
        let response = again.get_for(JANE, name).await;
        assert_eq!(session(&response).session_id(), session(&by_id).session_id(), "{name}");
    }
    assert_eq!((sign_ins(&again), again.fake.live_sessions()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn k8_concurrent_requests_for_an_organization_share_one_sign_in() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    // Without the stored session's client token, each organization needs a session of its own.
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(again.get(JANE).await.status(), 200);
    let hold = again.fake.hold(Endpoint::SignIns);
    let requests: JoinSet<_> = (0..20)
        .map(|_| {
            let again = again.clone();
            async move { again.get_for(JANE, "acme").await }
        })
        .collect();
    in_time(hold.arrived(1)).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 1);
    hold.release();
    let ids: HashSet<_> =
        requests.join_all().await.iter().map(|it| session(it).session_id().to_owned()).collect();
    assert_eq!((ids.len(), sign_ins(&again), again.fake.live_sessions()), (1, 2, 2));
}
