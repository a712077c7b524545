//! The cache of verified keys, and the flights of those that are not in it (rules T5, K8).

use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tower_clerk::ApiKeys;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, FakeApiKey};

use super::{
    ACCEPTED, MINUTE, REFUSED, SECOND, accepting, add, calls, key, secret_of, status, verifications, with_key,
};
use crate::common::{World, run_ready_tasks};

#[tokio::test(start_paused = true)]
async fn t5_a_key_in_steady_use_is_verified_every_five_minutes() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    for _ in 0..12 * 60 {
        assert_eq!(status(&layer, &secret).await, ACCEPTED);
        tokio::time::advance(5 * SECOND).await;
    }
    let verified = verifications(&world);
    println!("verifications of a key in steady use: {verified} per hour, {} in 30 days", verified * 24 * 30);
    assert_eq!((verified, verified * 24 * 30), (12, 8_640));
    assert_eq!(world.clerk.stats().count(Outcome::Hit), 12 * 60 - 12);
}

#[tokio::test(start_paused = true)]
async fn t5_a_layer_says_how_long_a_verified_key_serves() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    let brief = world.layer().accept_api_keys(ApiKeys::new().ttl(MINUTE)).unwrap();
    for (after, layer, expected) in [
        (Duration::ZERO, &brief, 1),
        (MINUTE - SECOND, &brief, 1),
        (SECOND, &brief, 2),
        (MINUTE, &accepting(&world), 2),
        (4 * MINUTE, &accepting(&world), 3),
    ] {
        tokio::time::advance(after).await;
        assert_eq!(status(layer, &secret).await, ACCEPTED);
        assert_eq!(verifications(&world), expected, "after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t5_no_key_serves_past_its_end_in_either_unit() {
    for in_seconds in [false, true] {
        let world =
            World::backend_with(|fake| fake.api_key_expiration_in_seconds(in_seconds), |engine| engine);
        let (_, secret) = add(&world, FakeApiKey::new("jane").expires_in(MINUTE));
        let layer = accepting(&world);
        let response = with_key(&layer, &secret).await;
        let left = key(&response).expires_at().unwrap().duration_since(world.clock.wall()).unwrap();
        assert!(left <= MINUTE && left > MINUTE - 2 * SECOND, "{left:?}");
        tokio::time::advance(MINUTE - 2 * SECOND).await;
        assert_eq!((status(&layer, &secret).await, verifications(&world)), (ACCEPTED, 1));
        tokio::time::advance(2 * SECOND).await;
        assert_eq!((status(&layer, &secret).await, verifications(&world)), (REFUSED, 2));
        assert!(key(&response).expires_at().unwrap() > SystemTime::UNIX_EPOCH);
    }
}

#[tokio::test(start_paused = true)]
async fn t5_requests_with_one_key_share_one_verification() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    let hold = world.fake.hold(Endpoint::VerifyApiKey);
    let mut requests = JoinSet::new();
    for number in 0..50 {
        let layer = match number % 2 {
            0 => accepting(&world),
            _ => accepting(&world).organization("acme").unwrap(),
        };
        let secret = secret.clone();
        requests.spawn(async move { status(&layer, &secret).await });
    }
    hold.arrived(1).await;
    run_ready_tasks().await;
    hold.release();
    while let Some(answer) = requests.join_next().await {
        assert_eq!(answer.unwrap(), ACCEPTED);
    }
    assert_eq!((verifications(&world), calls(&world)), (1, 3), "the user and the memberships besides");
}

#[tokio::test(start_paused = true)]
async fn k8_a_caller_that_goes_away_harms_no_other() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    let hold = world.fake.hold(Endpoint::VerifyApiKey);
    let first = tokio::spawn({
        let (layer, secret) = (layer.clone(), secret.clone());
        async move { status(&layer, &secret).await }
    });
    hold.arrived(1).await;
    let second = tokio::spawn({
        let (layer, secret) = (layer.clone(), secret.clone());
        async move { status(&layer, &secret).await }
    });
    run_ready_tasks().await;
    first.abort();
    hold.release();
    assert_eq!(second.await.unwrap(), ACCEPTED);
    assert_eq!(verifications(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn k7_verified_keys_are_bounded_apart_from_the_sessions() {
    let world = World::backend_with(
        |fake| fake.no_rate_limit(),
        |engine| engine.backend_rate(100_000, SECOND).max_verified_api_keys(10).max_sessions(5),
    );
    let layer = accepting(&world);
    world.get(crate::common::JANE).await;
    for number in 0..40 {
        let (_, secret) = add(&world, FakeApiKey::new("jane").name(format!("key {number}")));
        assert_eq!(status(&layer, &secret).await, ACCEPTED);
        tokio::time::advance(SECOND).await;
    }
    let stats = world.clerk.stats();
    assert_eq!((stats.verified_api_keys, stats.sessions), (10, 1));
}
