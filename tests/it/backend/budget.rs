//! The budget of calls to the Backend API (rules P1, P2).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, basic, code, run_ready_tasks};
use tower_clerk::ClerkBuilder;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser, Fault, RetryAfter};

const SECOND: Duration = Duration::from_secs(1);

fn users(world: &World, count: usize) {
    for user in 0..count {
        world.fake.add_user(FakeUser::new(format!("user{user}@example.com")).password("right"));
    }
}

async fn get(world: &World, user: usize) -> http::Response<String> {
    let identifier = format!("user{user}@example.com");
    crate::common::ask(&world.layer(), basic((identifier.as_str(), "right"))).await
}

/// All users send at once, with the limits of a development key, and the stand-in never answers 429.
#[tokio::test(start_paused = true)]
async fn p1_a_burst_of_users_stays_within_the_backend_budget() {
    let world = World::backend_with(FakeClerkBuilder::empty, tower_clerk::ClerkBuilder::unlimited_sign_ins);
    world.fake.reconfigure(|fake| fake.sign_in_limit(100_000, SECOND));
    users(&world, 100);
    let crowd: Vec<_> = (0..100)
        .map(|user| {
            let world = world.clone();
            tokio::spawn(async move {
                // Retries as the `Retry-After` header says.
                for tries in 1.. {
                    let response = get(&world, user).await;
                    if response.status() == 200 {
                        return tries;
                    }
                    assert_eq!(code(&response), "upstream_rate_limited");
                    let after = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                    assert!(tries < 100, "still not signed in after {tries} tries");
                    tokio::time::sleep(Duration::from_secs(after)).await;
                }
                0
            })
        })
        .collect();
    for user in crowd {
        assert!(user.await.unwrap() > 0);
    }
    assert_eq!(
        world.clerk.stats().sign_in_circuit,
        tower_clerk::stats::CircuitState::Closed,
        "no call failed"
    );
    let limited = world.fake.requests().iter().filter(|it| it.status().is_some_and(|it| it == 429)).count();
    assert_eq!(limited, 0, "the stand-in never answered 429");
    assert!(world.fake.max_in_window(Endpoint::Backend, SECOND) <= 8);
    assert!(world.fake.max_in_window(Endpoint::Backend, 10 * SECOND) <= 80);
}

/// A flood of made-up identifiers uses calls, but leaves enough for tokens and for users with a session.
#[tokio::test(start_paused = true)]
async fn k13_a_flood_of_guesses_does_not_delay_known_users() {
    let world = World::backend_with(FakeClerkBuilder::empty, |engine| {
        engine
            .unlimited_sign_ins()
            .session_ttl(Duration::from_secs(600))
            .token_lifetime(Duration::from_secs(60))
    });
    world.fake.reconfigure(|fake| fake.sign_in_limit(100_000, SECOND));
    users(&world, 20);
    for user in 0..20 {
        while get(&world, user).await.status() != 200 {
            tokio::time::sleep(SECOND).await;
        }
    }
    let flood = {
        let world = world.clone();
        tokio::spawn(async move {
            for guess in 0_u64.. {
                let (identifier, layer) = (format!("guess{guess}@example.com"), world.layer());
                tokio::spawn(async move {
                    crate::common::ask(&layer, basic((identifier.as_str(), "guess"))).await;
                });
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    for _ in 0..180 {
        tokio::time::sleep(10 * SECOND).await;
        for user in 0..20 {
            let response = get(&world, user).await;
            assert_eq!(response.status(), 200, "{:?}", crate::common::rejection(&response));
        }
    }
    flood.abort();
    assert!(world.fake.max_in_window(Endpoint::Backend, SECOND) <= 8);
}

#[tokio::test(start_paused = true)]
async fn p1_a_configured_backend_rate_is_respected() {
    let world = World::backend_with(FakeClerkBuilder::empty, |engine| {
        engine.unlimited_sign_ins().backend_rate(5, 10 * SECOND)
    });
    users(&world, 3);
    for user in 0..3 {
        while get(&world, user).await.status() != 200 {
            tokio::time::sleep(SECOND).await;
        }
    }
    assert!(world.fake.max_in_window(Endpoint::Backend, 10 * SECOND) <= 5);
}

/// At a cold start sign-ins are scarce. A user that waits for one has its password verified only once.
#[tokio::test(start_paused = true)]
async fn k13_a_verified_password_stays_proven_until_its_session_opens() {
    let world = World::backend_with(FakeClerkBuilder::empty, |engine| engine);
    users(&world, 40);
    let start = world.clock.now();
    let crowd: Vec<_> = (0..40)
        .map(|user| {
            let world = world.clone();
            tokio::spawn(async move {
                loop {
                    let response = get(&world, user).await;
                    if response.status() == 200 {
                        return;
                    }
                    assert_eq!(code(&response), "upstream_rate_limited");
                    let after = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                    tokio::time::sleep(Duration::from_secs(after)).await;
                }
            })
        })
        .collect();
    for user in crowd {
        user.await.unwrap();
    }
    let took = world.clock.now() - start;
    assert!(took < 110 * SECOND, "40 sign-ins at 5 in 10 s took {took:?}");
    assert_eq!(world.fake.count(Endpoint::SignIns), 40);
    assert_eq!(world.fake.count(Endpoint::VerifyPassword), 40, "each password is verified once");
    assert_eq!(world.clerk.stats().sign_in_circuit, tower_clerk::stats::CircuitState::Closed);
}

/// A pending proof lasts for minutes, unless its user is revoked.
#[tokio::test(start_paused = true)]
async fn k9_a_pending_proof_ends_on_revocation_and_on_expiry() {
    for (wait, revoked, proofs) in [
        (30, None, 1),
        (30, Some("user"), 2),
        (30, Some("all"), 2),
        (30, Some("expired"), 2),
        (30, Some("strangers"), 1),
        (400, None, 2),
    ] {
        let world = World::backend_with(FakeClerkBuilder::empty, |engine| engine.sign_in_wait(SECOND));
        users(&world, 6);
        for user in 0..5 {
            assert_eq!(get(&world, user).await.status(), 200);
        }
        assert_eq!(code(&get(&world, 5).await), "upstream_rate_limited");
        let before = world.fake.count(Endpoint::VerifyPassword);
        assert_eq!(before, 6);
        let calls = world.fake.requests_to(Endpoint::VerifyPassword);
        let waiting = calls[5].path().split('/').nth(3).unwrap().to_owned();
        tokio::time::sleep(SECOND).await;
        match revoked {
            Some("user") => world.clerk.revoke_user(&waiting),
            Some("expired") => world.clerk.expire_proofs(&waiting, world.clock.wall()),
            Some("strangers") => world.clerk.revoke_user("user_stranger"),
            Some(_) => world.clerk.revoke_all(),
            None => {}
        }
        tokio::time::sleep(wait * SECOND).await;
        // The tombstone of the first one is older than any flight, and is forgotten.
        world.clerk.revoke_user("user_another_stranger");
        assert_eq!(get(&world, 5).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::VerifyPassword), before + proofs - 1, "{wait} {revoked:?}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 6, "no sign-in is spent on a revoked proof");
    }
}

/// Clerk's sender tries a webhook again after minutes, and a pending proof can be as old when its session is opened.
#[tokio::test(start_paused = true)]
async fn k9_an_old_change_of_the_password_reaches_a_pending_proof_whose_session_is_being_opened() {
    let world = World::backend_with(FakeClerkBuilder::empty, |engine| engine.sign_in_wait(SECOND));
    users(&world, 6);
    for user in 0..5 {
        assert_eq!(get(&world, user).await.status(), 200);
    }
    assert_eq!(code(&get(&world, 5).await), "upstream_rate_limited");
    tokio::time::sleep(20 * SECOND).await;
    world.fake.set_password("user5@example.com", "another");
    let (changed, user) = (world.clock.wall(), world.fake.user_id("user5@example.com").unwrap());
    tokio::time::sleep(100 * SECOND).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { get(&world, 5).await })
    };
    while hold.waiting() == 0 {
        run_ready_tasks().await;
    }
    world.clerk.expire_proofs(&user, changed);
    hold.release();
    assert_eq!(code(&waiting.await.unwrap()), "credentials_rejected");
    assert_eq!(code(&get(&world, 5).await), "credentials_rejected");
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_of_the_backend_api_is_honoured_and_harms_no_live_session() {
    let world =
        World::backend_with(|fake| fake, |engine: ClerkBuilder| engine.session_ttl(6 * 3600 * SECOND));
    assert_eq!(world.get(JANE).await.status(), 200);
    let limited = Fault::RateLimited { retry_after: RetryAfter::Seconds(30) };
    world.fake.script(Endpoint::Users, limited);
    assert_eq!(code(&world.get(BOB).await), "upstream_rate_limited");
    let calls = world.fake.count(Endpoint::Backend);
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let response = world.get(CAROL).await;
        assert_eq!(code(&response), "upstream_rate_limited");
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(world.get(JANE).await.status(), 200);
    }
    assert_eq!(world.fake.count(Endpoint::Backend), calls, "no call is sent during the pause");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200);
}
