//! The limits on mints, which are separate from those on sign-ins (rules P2, P4).

use std::time::Duration;

use tokio::task::JoinSet;
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, FakeOrganization, Fault, RetryAfter};

use crate::common::{BOB, JANE, World, code, in_time, run_ready_tasks};
use crate::crowd::{User, add_users, request_as};

/// Longer than the lifetime of a token.
const TOKEN_LIFE: Duration = Duration::from_secs(61);

/// Returns `count` users with one session each, whose tokens have expired.
async fn with_stale_tokens(count: usize) -> (World, Vec<User>) {
    let world = World::unlimited();
    let users = add_users(&world.fake, count);
    for user in &users {
        assert_eq!(request_as(&world, user).await.status(), 200);
    }
    tokio::time::sleep(TOKEN_LIFE).await;
    world.fake.clear_log();
    (world, users)
}

#[tokio::test(start_paused = true)]
async fn p2_at_most_thirty_two_mints_are_in_flight() {
    let (world, users) = with_stale_tokens(40).await;
    let hold = world.fake.hold(Endpoint::Tokens);
    let requests: JoinSet<_> = users
        .into_iter()
        .map(|user| {
            let world = world.clone();
            async move { request_as(&world, &user).await.status() }
        })
        .collect();
    in_time(hold.arrived(32)).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 32);
    hold.release();
    assert!(requests.join_all().await.iter().all(|status| *status == 200));
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_of_a_touch_pauses_minting_as_well() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.add_organization(FakeOrganization::new("late"));
    world.fake.add_member("jane", "late", "org:member");
    world.fake.script(Endpoint::Touch, Fault::RateLimited { retry_after: RetryAfter::Seconds(30) });
    for organization in ["late", "acme"] {
        let response = world.get_for(JANE, organization).await;
        assert_eq!(code(&response), "upstream_rate_limited");
        assert_eq!(response.headers()["retry-after"], "30");
    }
    assert_eq!((world.fake.count(Endpoint::Touch), world.fake.count(Endpoint::Tokens)), (1, 0));
    assert_eq!(world.get(BOB).await.status(), 200, "sign-ins are not paused");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(world.get_for(JANE, "late").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn p4_mints_have_a_circuit_of_their_own() {
    let (world, users) = with_stale_tokens(6).await;
    world.fake.script_always(Endpoint::Tokens, Fault::Status(503));
    for user in &users {
        assert_eq!(request_as(&world, user).await.status(), 503);
    }
    let stats = world.clerk.stats();
    assert_eq!((stats.mint_circuit, stats.sign_in_circuit), (CircuitState::Open, CircuitState::Closed));
    assert_eq!(world.fake.count(Endpoint::Tokens), 5, "the open circuit stops the sixth mint");
    assert_eq!(world.get(JANE).await.status(), 200, "sign-ins still work, and return a token themselves");
}
