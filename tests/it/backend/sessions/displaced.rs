//! Sessions that another session has replaced in the user's set.

use std::time::Duration;

use crate::common::{BOB, JANE, Pair, World, session};
use crate::stores::{SESSION, StoreFile};
use tower_clerk::testing::FakeOrganization;

/// Jane's username.
const JANE_BY_NAME: Pair = ("jane", JANE.1);

/// Opens a second session for Jane after the store has lost her first one. Returns the id of the first.
async fn with_replaced_session(store: &StoreFile) -> (World, String) {
    let world = World::backend_with(|fake| fake, |engine| engine.store(store.open()));
    let first = session(&world.get(JANE).await).session_id().to_owned();
    world.get(BOB).await;
    world.get_for(JANE, "acme").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.lose(SESSION).await;
    assert_ne!(session(&world.get(JANE_BY_NAME).await).session_id(), first);
    (world, first)
}

#[tokio::test(start_paused = true)]
async fn k10_a_replaced_session_is_ended_and_its_tokens_are_not_served() {
    let store = StoreFile::new();
    let (world, first) = with_replaced_session(&store).await;
    for pair in [JANE, JANE_BY_NAME] {
        assert_ne!(session(&world.get(pair).await).session_id(), first);
        assert_ne!(session(&world.get_for(pair, "acme").await).session_id(), first);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = world.fake.sessions().iter().find(|it| it.id() == first).unwrap().status();
    assert_eq!(format!("{status:?}"), "Revoked");
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_a_user_ends_sessions_that_the_store_has_lost() {
    for is_empty in [false, true] {
        let store = StoreFile::new();
        let (world, _) = with_replaced_session(&store).await;
        if is_empty {
            store.lose(SESSION).await;
        }
        world.clerk.revoke_user("user_2pqaQ9F4o9MNRSlx8VeMRn5hZug");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.fake.live_sessions_of("jane"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_finds_a_session_that_others_displaced() {
    let store = StoreFile::new();
    let first = World::backend_with(
        |fake| fake.no_rate_limit().backend_limit(100_000, Duration::from_secs(10)),
        |engine| engine.store(store.open()).unlimited_sign_ins(),
    );
    let names: Vec<_> = (0..18).map(|at| format!("organization-{at}")).collect();
    for name in &names {
        first.fake.add_organization(FakeOrganization::new(name));
        first.fake.add_member("jane", name, "org:member");
    }
    first.get(JANE).await;
    // Without the stored sessions' client tokens, each organization needs a session of its own.
    store.lose_logins().await;
    let world = first.restarted(|engine| engine.store(store.open()).unlimited_sign_ins());
    world.get(JANE).await;
    let id = session(&world.get_for(JANE, &names[0]).await).session_id().to_owned();
    for name in &names[1..] {
        assert_eq!(world.get_for(JANE, name).await.status(), 200);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(session(&world.get_for(JANE, &names[0]).await).session_id(), id);
    }
    world.clerk.revoke_session(&id);
    assert_ne!(session(&world.get_for(JANE, &names[0]).await).session_id(), id);
}
