//! Sessions that Clerk has ended or made pending, and revocations that concern nothing held here (rules W5, W6).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use crate::common::{BOB, CAROL, JANE, World, run_ready_tasks, session};
use crate::stores::{SESSION, StoreFile};

fn id(response: &http::Response<String>) -> String {
    session(response).session_id().to_owned()
}

fn ends(world: &World) -> usize {
    world.fake.count(Endpoint::End) + world.fake.count(Endpoint::RevokeSession)
}

async fn finish_background() {
    tokio::time::sleep(Duration::from_secs(2)).await;
    run_ready_tasks().await;
}

#[tokio::test(start_paused = true)]
async fn w5_a_session_that_clerk_has_ended_serves_no_request_and_is_not_ended_again() {
    for world in [World::unlimited(), World::backend()] {
        let (jane, bob) = (id(&world.get(JANE).await), id(&world.get(BOB).await));
        world.fake.revoke_session(&jane);
        world.clerk.drop_session(&jane);
        assert_ne!(id(&world.get(JANE).await), jane);
        assert_eq!(id(&world.get(BOB).await), bob);
        finish_background().await;
        assert_eq!((ends(&world), world.fake.live_sessions()), (0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_stored_session_that_clerk_has_ended_is_found_by_no_later_sign_in() {
    let store = StoreFile::new();
    let first = World::backend_with(|fake| fake, |engine| engine.store(store.open()));
    let (jane, bob) = (id(&first.get(JANE).await), id(&first.get(BOB).await));
    store.lose_logins().await;
    let world = first.restarted(|engine| engine.store(store.open()));
    first.fake.revoke_session(&jane);
    world.clerk.drop_session(&jane);
    finish_background().await;
    assert_eq!(store.count(SESSION), 1);
    let sign_ins = world.fake.count(Endpoint::SignIns);
    assert_ne!(id(&world.get(JANE).await), jane);
    assert_eq!(id(&world.get(BOB).await), bob);
    assert_eq!((world.fake.count(Endpoint::SignIns), ends(&world)), (sign_ins + 1, 0));
}

/// The answer to the sign-in comes after the event that the session has ended.
#[tokio::test(start_paused = true)]
async fn w5_a_session_that_ends_during_its_sign_in_is_neither_stored_nor_served() {
    for world in [World::unlimited(), World::backend()] {
        let hold = world.fake.hold_answer(Endpoint::SignIns);
        let waiting = {
            let world = world.clone();
            tokio::spawn(async move { world.get(JANE).await })
        };
        while hold.waiting() == 0 {
            run_ready_tasks().await;
        }
        let ended = world.fake.sessions().last().unwrap().id().to_owned();
        world.fake.revoke_session(&ended);
        world.clerk.drop_session(&ended);
        hold.release();
        let response = waiting.await.unwrap();
        assert_ne!(id(&response), ended);
        assert_eq!(id(&world.get(JANE).await), id(&response));
        assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_session_that_becomes_pending_keeps_none_of_its_tokens() {
    let world = World::unlimited();
    let jane = world.get(JANE).await;
    world.get_for(JANE, "acme").await;
    let bob = world.get(BOB).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let mints = world.fake.count(Endpoint::Tokens);
    world.clerk.drop_session_tokens(&id(&jane));
    let again = world.get(JANE).await;
    assert_eq!(id(&again), id(&jane));
    assert_ne!(session(&again).token(), session(&jane).token());
    world.get_for(JANE, "acme").await;
    assert_eq!(world.fake.count(Endpoint::Tokens), mints + 2);
    assert_eq!(session(&world.get(BOB).await).token(), session(&bob).token());
    // A mint under way.
    tokio::time::advance(Duration::from_secs(59)).await;
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { world.get(JANE).await })
    };
    hold.arrived(1).await;
    let mints = world.fake.count(Endpoint::Tokens);
    world.clerk.drop_session_tokens(&id(&jane));
    hold.release();
    assert_eq!(id(&waiting.await.unwrap()), id(&jane));
    assert_eq!(world.fake.count(Endpoint::Tokens), mints + 1, "it is minted again");
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

/// Ten thousand users of the instance whom this process has never seen are deleted, signed out and the like.
fn storm(world: &World) {
    for at in 0..10_000 {
        let (user, organization) = (format!("user_stranger{at}"), format!("org_stranger{at}"));
        match at % 5 {
            0 => world.clerk.revoke_user(&user),
            1 => world.clerk.drop_session(&format!("sess_stranger{at}")),
            2 => world.clerk.revoke_membership(&user, &organization),
            3 => world.clerk.revoke_organization(&organization),
            _ => world.clerk.expire_proofs(&user, world.clock.wall()),
        }
        world.clerk.forgive_ban([format!("stranger{at}@example.com")]);
        world.clerk.forgive_lock(&user, [format!("stranger{at}@example.com")]);
        world.clerk.forgive_organizations(&user);
        world.clerk.drop_session_tokens(&format!("sess_other{at}"));
        world.clerk.revoke_renamed_organization(&organization, Some("stranger"));
    }
}

#[tokio::test(start_paused = true)]
async fn w6_ten_thousand_revocations_of_strangers_void_no_flight_and_cost_no_call() {
    let backend = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().backend_rate(10_000, Duration::from_secs(1))
    });
    for world in [World::unlimited(), backend] {
        let before = [world.get(BOB).await, world.get_for(BOB, "acme").await];
        assert_eq!(world.get(CAROL).await.status(), 200);
        tokio::time::advance(Duration::from_secs(59)).await;
        let bob = [world.get(BOB).await, world.get_for(BOB, "acme").await];
        assert_eq!(id(&bob[0]), id(&before[0]));
        let (sign_ins, mints) =
            (world.fake.hold_answer(Endpoint::SignIns), world.fake.hold_answer(Endpoint::Tokens));
        let spawn = |pair| {
            let world = world.clone();
            tokio::spawn(async move { world.get(pair).await })
        };
        let (signing_in, minting) = (spawn(JANE), spawn(CAROL));
        while sign_ins.waiting() + mints.waiting() < 2 {
            run_ready_tasks().await;
        }
        let calls = world.fake.count(Endpoint::Any);
        storm(&world);
        sign_ins.release();
        mints.release();
        assert_eq!(signing_in.await.unwrap().status(), 200);
        assert_eq!(minting.await.unwrap().status(), 200);
        assert!(world.fake.count(Endpoint::Any) <= calls + 1, "a mint for Jane at most");
        for (before, after) in bob.iter().zip([world.get(BOB).await, world.get_for(BOB, "acme").await]) {
            assert_eq!(session(before).token(), session(&after).token());
        }
        finish_background().await;
        assert_eq!((ends(&world), world.fake.live_sessions(), world.clerk.stats().sessions), (0, 3, 3));
    }
}
