//! Effects of a refused password on sessions (rules K5, K10).

use super::{HOUR, MINUTE, ended, sign_ins, world};
use crate::common::{JANE, Pair, World, code, session};
use crate::stores::StoreFile;

/// No entry holds the session, and its credential can no longer reach it.
#[tokio::test(start_paused = true)]
async fn k10_a_refusal_ends_the_stored_session_of_an_expired_entry() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(3 * HOUR).await;
    world.fake.set_password("jane", "a new one");
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(ended(&world).await, 1);
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn k5_a_guess_ends_no_session_of_its_user() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    for guess in ["one", "two", "three"] {
        assert_eq!(code(&world.get((JANE.0, guess)).await), "credentials_rejected");
    }
    assert_eq!(ended(&world).await, 0);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Two credentials share a session, and refusing one does not end the session of the other.
#[tokio::test(start_paused = true)]
async fn k5_refusing_an_old_password_leaves_the_new_ones_session_open() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.set_password("jane", "a new one");
    let new: Pair = (JANE.0, "a new one");
    let id = session(&world.get(new).await).session_id().to_owned();
    for _ in 0..70 {
        world.get(JANE).await;
        assert_eq!(session(&world.get(new).await).session_id(), id);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!((ended(&world).await, sign_ins(&world)), (0, 1));
}

/// A session for an organization can belong to another credential of the user.
#[tokio::test(start_paused = true)]
async fn k5_refusing_an_old_password_leaves_the_new_ones_organization_session_open() {
    let store = StoreFile::new();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    // Without the stored session's client token, the organization needs a session of its own.
    store.lose_logins().await;
    let process = first.restarted(|engine| engine.store(store.open()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let acme = session(&process.get_for(JANE, "acme").await).session_id().to_owned();
    process.fake.set_password("jane", "a new one");
    let new: Pair = (JANE.0, "a new one");
    for _ in 0..70 {
        process.get(JANE).await;
        assert_eq!(session(&process.get_for(new, "acme").await).session_id(), acme);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(code(&process.get(JANE).await), "credentials_rejected");
    assert!(process.fake.sessions().iter().any(|it| it.id() == acme && it.is_live()));
}
