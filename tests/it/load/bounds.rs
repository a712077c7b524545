//! Caches are bounded, and made-up credentials evict no session (rules K4, K7).

use std::time::Duration;

use crate::common::{JANE, World, ask, basic, session};
use tokio::task::JoinSet;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser};

fn crowd(users: usize, max_sessions: u64) -> World {
    let world = World::with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().max_sessions(max_sessions)
    });
    for number in 0..users {
        world.fake.add_user(FakeUser::new(format!("user-{number}")).password("one for all of them"));
    }
    world
}

async fn visit(world: &World, number: usize) {
    let name = format!("user-{number}");
    assert_eq!(ask(&world.layer(), basic((&name, "one for all of them"))).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k7_sessions_are_bounded_and_the_newest_is_never_evicted() {
    let world = crowd(100, 10);
    for number in 0..100 {
        visit(&world, number).await;
        visit(&world, number).await;
        assert_eq!(world.fake.count(Endpoint::SignIns), number + 1, "user {number} was evicted at once");
    }
    // The newest sessions are still cached, and the oldest are not.
    for number in 95..100 {
        visit(&world, number).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 100);
    visit(&world, 0).await;
    assert_eq!(world.fake.count(Endpoint::SignIns), 101);
}

#[tokio::test(start_paused = true)]
async fn k7_an_engine_with_room_for_one_session_works() {
    let world = crowd(3, 1);
    for number in [0, 1, 2, 0] {
        visit(&world, number).await;
        visit(&world, number).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 4);
}

#[tokio::test(start_paused = true)]
async fn k7_made_up_credentials_evict_no_real_session() {
    let world = crowd(10, 10);
    for number in 0..10 {
        visit(&world, number).await;
    }
    let mut strangers = JoinSet::new();
    for task in 0..10 {
        let layer = world.layer();
        strangers.spawn(async move {
            for number in 0..300 {
                let name = format!("stranger-{task}-{number}");
                assert_ne!(ask(&layer, basic((&name, "guess"))).await.status(), 200);
            }
        });
    }
    while let Some(stranger) = strangers.join_next().await {
        stranger.unwrap();
    }
    let sign_ins = world.fake.count(Endpoint::SignIns);
    for number in 0..10 {
        visit(&world, number).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins);
}

#[tokio::test(start_paused = true)]
async fn k4_concurrent_requests_that_find_a_session_gone_share_one_sign_in() {
    let world = World::new();
    let first = world.get(JANE).await;
    for round in 1..=4 {
        let gone = world.fake.sessions().pop().unwrap();
        assert!(world.fake.revoke_session(gone.id()));
        tokio::time::advance(Duration::from_secs(60)).await;
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            let layer = world.layer();
            let layer = if number % 2 == 0 { layer } else { layer.organization("acme").unwrap() };
            tasks.spawn(async move { ask(&layer, basic(JANE)).await });
        }
        for response in tasks.join_all().await {
            assert_ne!(session(&response).session_id(), session(&first).session_id());
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), 1 + round);
    }
}
