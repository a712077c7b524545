//! Lifting the refusals and the pause of an identifier (rule K11).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use crate::common::{BOB, JANE, World, code, rejection, run_ready_tasks, wire};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How long the identifier pauses, in seconds, if it does.
async fn pause(world: &World, identifier: &str, password: &str) -> Option<u64> {
    let response = world.get_as(identifier, password).await;
    let throttled = rejection(&response).filter(|rejection| rejection.code() == "throttled")?;
    Some(throttled.retry_after().unwrap().as_secs())
}

fn unlimited(is_backend: bool) -> World {
    if is_backend {
        World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
            engine.unlimited_sign_ins().backend_rate(10_000, secs(1))
        })
    } else {
        World::unlimited()
    }
}

#[tokio::test(start_paused = true)]
async fn k11_a_lifted_ban_works_at_once_after_it_is_forgiven() {
    for is_backend in [false, true] {
        let world = unlimited(is_backend);
        world.fake.ban("jane");
        // The fifth attempt is in the pause that the fourth one began.
        for life in [10, 60, 600, 3_600] {
            assert_eq!(world.get(JANE).await.status(), 401, "banned");
            tokio::time::advance(secs(life)).await;
        }
        assert_eq!(world.get_as(" JANE@example.com ", JANE.1).await.status(), 401);
        world.fake.unban("jane");
        let asked = world.fake.count(Endpoint::Any);
        assert!(!world.get(JANE).await.status().is_success(), "remembered, or in a pause");
        assert_eq!(world.fake.count(Endpoint::Any), asked);
        world.clerk.forgive("\tJane@EXAMPLE.com");
        assert_eq!(world.get(JANE).await.status(), 200, "backend: {is_backend}");
        assert_eq!(world.get_as(" JANE@example.com ", JANE.1).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn k11_forgiving_one_identifier_changes_nothing_for_another() {
    let world = unlimited(false);
    let asked = |world: &World| world.fake.count(Endpoint::SignIns);
    assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
    assert_eq!(world.get((BOB.0, "wrong")).await.status(), 401);
    assert_eq!(asked(&world), 2);
    world.clerk.forgive(JANE.0);
    world.clerk.forgive("nobody at all");
    world.clerk.forgive("");
    assert_eq!(world.get((BOB.0, "wrong")).await.status(), 401);
    assert_eq!(asked(&world), 2, "this one is remembered");
    assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
    assert_eq!(asked(&world), 3, "Clerk is asked again");
}

#[tokio::test(start_paused = true)]
async fn k11_the_count_of_failures_outlives_a_forgiven_pause() {
    for is_backend in [false, true] {
        let world = unlimited(is_backend);
        let mut guess = 0;
        for minutes in [10, 20, 40] {
            let left = loop {
                guess += 1;
                assert!(guess < 10, "each failure after the fourth one begins a pause");
                if let Some(left) = pause(&world, JANE.0, &format!("guess {guess}")).await {
                    break left;
                }
            };
            assert!((minutes * 60 - 30..=minutes * 60).contains(&left), "{left} s, not {minutes} min");
            world.clerk.forgive(JANE.0);
        }
        // Only a success starts the count anew.
        assert_eq!(world.get(JANE).await.status(), 200);
        for guess in 0..4 {
            assert_eq!(world.get_as(JANE.0, &format!("later guess {guess}")).await.status(), 401);
        }
        assert!(pause(&world, JANE.0, "one more").await.is_some_and(|left| left <= 600));
    }
}

#[tokio::test(start_paused = true)]
async fn k11_a_refusal_that_was_under_way_is_neither_remembered_nor_a_pause() {
    let world = unlimited(false);
    for guess in 0..3 {
        assert_eq!(world.get_as(JANE.0, &format!("guess {guess}")).await.status(), 401);
    }
    let hold = world.fake.hold(Endpoint::SignIns);
    let (asking, wrong) = (world.clone(), "the fourth guess begins a pause");
    let under_way = tokio::spawn(async move { asking.get((JANE.0, wrong)).await });
    run_ready_tasks().await;
    world.clerk.forgive("jane@example.com");
    hold.release();
    assert_eq!(code(&under_way.await.unwrap()), "credentials_rejected");
    let asked = world.fake.count(Endpoint::SignIns);
    assert_eq!(asked, 4);
    assert_eq!(world.get((JANE.0, wrong)).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::SignIns), asked + 1, "Clerk is asked again");
    // It did count: this was the fifth failure.
    assert!(pause(&world, JANE.0, "the sixth guess").await.is_some_and(|left| left > 600));
}

/// Guesses, with `forgive` between them, and returns what a client sees.
async fn answers(world: &World, identifier: &str) -> Vec<(u16, Vec<(String, String)>, String)> {
    let mut answers = Vec::new();
    for round in 0..5 {
        for guess in 0..if round == 0 { 6 } else { 3 } {
            let response = world.get_as(identifier, &format!("guess {round} {guess}")).await;
            let (status, mut headers, body) = wire(&response);
            for (name, value) in &mut headers {
                // The Backend API's answers take their time, so that the rest of a pause differs by seconds.
                if name == "retry-after" {
                    *value = (value.parse::<u64>().unwrap().div_ceil(60)).to_string();
                }
            }
            answers.push((status, headers, body));
        }
        world.clerk.forgive(identifier);
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn k11_answers_after_forgiving_tell_nothing_of_the_account() {
    for is_backend in [false, true] {
        let world = unlimited(is_backend);
        let known = answers(&world, "carol@example.com").await;
        let statuses: Vec<_> = known.iter().map(|(status, ..)| *status).collect();
        let later = [401, 429, 429];
        assert_eq!(statuses, [&[401, 401, 401, 401, 429, 429][..], &later, &later, &later, &later].concat());
        for other in ["nobody@example.com", "locked@example.com", "banned@example.com", "sso@example.com"] {
            assert_eq!(answers(&world, other).await, known, "{other}, backend: {is_backend}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k11_forgiving_many_identifiers_searches_nothing() {
    let world = unlimited(false);
    assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
    for at in 0..100_000 {
        world.clerk.forgive(&format!("user{at}@example.com"));
    }
    // More than are remembered: then the refusals of all are lifted, and none comes back.
    assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}
