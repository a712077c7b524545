//! Sessions in a store that survives restarts.

use super::{HOUR, sign_ins, world};
use crate::common::{BOB, CAROL, JANE, World, session};
use crate::stores::StoreFile;
use tower_clerk::testing::{Clock, Endpoint};

#[tokio::test(start_paused = true)]
async fn k10_a_restart_costs_each_user_one_proof_and_one_mint() {
    let store = StoreFile::new();
    let first = world(&store);
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(first.get(pair).await.status(), 200);
    }
    let ids: Vec<_> = first.fake.sessions().iter().map(|it| it.id().to_owned()).collect();
    // The process is killed: it ends no session, and only the store survives.
    store.lose_logins().await;
    let again = first.restarted(|engine| engine.store(store.open()));
    first.fake.clear_log();
    for (pair, id) in [JANE, BOB, CAROL].into_iter().zip(&ids) {
        assert_eq!(session(&again.get(pair).await).session_id(), id);
    }
    assert_eq!(sign_ins(&again), 0);
    assert_eq!(again.fake.count(Endpoint::VerifyPassword), 3);
    assert_eq!(again.fake.count(Endpoint::BackendTokens), 3);
    assert_eq!(again.fake.live_sessions(), 3);
}

/// The engine corrects its clock by Clerk's as soon as Clerk has answered a call.
#[tokio::test(start_paused = true)]
async fn k2_a_wrong_wall_clock_at_startup_drops_no_stored_session() {
    let store = StoreFile::new();
    let first = World::backend_with(|fake| fake, |engine| engine.store(store.open()));
    let id = session(&first.get(JANE).await).session_id().to_owned();
    for (days, is_ahead) in [(10, true), (10, false)] {
        let off = days * 24 * HOUR;
        let wall = if is_ahead { first.clock.wall() + off } else { first.clock.wall() - off };
        let wrong = World { clock: Clock::starting_at(wall), ..first.clone() };
        store.lose_logins().await;
        let again = wrong.restarted(|engine| engine.store(store.open()));
        let response = again.get(JANE).await;
        assert_eq!(session(&response).session_id(), id, "ahead: {is_ahead}");
        assert_eq!(again.fake.count(Endpoint::SignIns), 1, "ahead: {is_ahead}");
    }
    // The session ends seven days after its start by Clerk's clock, not by the clock of this machine.
    let behind = World { clock: Clock::starting_at(first.clock.wall() - 10 * 24 * HOUR), ..first.clone() };
    store.lose_logins().await;
    let again = behind.restarted(|engine| engine.store(store.open()));
    tokio::time::sleep(7 * 24 * HOUR + HOUR).await;
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
}
