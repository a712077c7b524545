//! What the refusal of a password does to sessions (rule K5).

use super::{HOUR, MINUTE, ended, sign_ins, world};
use crate::common::{JANE, Pair, World, code, session};
use crate::stores::SharedSessions;

/// Nobody holds it any more, and nobody gets at it by this credential again.
#[tokio::test(start_paused = true)]
async fn k10_a_refusal_ends_what_was_kept_after_the_entry_had_gone() {
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

/// Two credentials share a session; the one that is refused takes nothing from the other.
#[tokio::test(start_paused = true)]
async fn k5_an_old_password_that_is_refused_leaves_the_new_ones_session_alone() {
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

/// What was opened beside a session can be another credential's own.
#[tokio::test(start_paused = true)]
async fn k5_an_old_password_that_is_refused_leaves_the_new_ones_organization_alone() {
    let store = SharedSessions::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    // Its client is unknown there, so that the organization is a session of its own.
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let beside = session(&process.get_for(JANE, "acme").await).session_id().to_owned();
    process.fake.set_password("jane", "a new one");
    let new: Pair = (JANE.0, "a new one");
    for _ in 0..70 {
        process.get(JANE).await;
        assert_eq!(session(&process.get_for(new, "acme").await).session_id(), beside);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(code(&process.get(JANE).await), "credentials_rejected");
    assert!(process.fake.sessions().iter().any(|it| it.id() == beside && it.is_live()));
}
