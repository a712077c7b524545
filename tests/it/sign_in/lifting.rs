//! Lifting the refusals that a change of an account has made obsolete, and no others (rules K11, W5).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeUser};

use crate::common::{BOB, JANE, Pair, World, code, run_ready_tasks, wire};

const JANE_ID: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";
const JANE_BY_NAME: Pair = ("jane", JANE.1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn worlds() -> [World; 2] {
    let backend = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().backend_rate(10_000, secs(1))
    });
    [World::unlimited(), backend]
}

/// An ordinary `user.updated` of Jane's: she is neither banned nor locked.
fn user_updated(world: &World) {
    world.clerk.forgive_ban([JANE.0, "jane"]);
    world.clerk.forgive_lock(JANE_ID, [JANE.0, "jane"]);
}

#[tokio::test(start_paused = true)]
async fn w5_a_lifted_ban_works_at_once() {
    for world in worlds() {
        world.fake.ban("jane");
        for wait in [11, 0] {
            assert_eq!(world.get(JANE).await.status(), 401, "banned");
            tokio::time::advance(secs(wait)).await;
        }
        world.fake.unban("jane");
        let calls = world.fake.count(Endpoint::Any);
        world.clerk.forgive_ban([BOB.0, "nobody@example.com"]);
        world.clerk.forgive_lock(JANE_ID, [JANE.0]);
        world.clerk.forgive_unknown_user([JANE.0]);
        assert_eq!(world.get(JANE).await.status(), 401);
        assert_eq!(world.fake.count(Endpoint::Any), calls, "refused for another reason than those");
        world.clerk.forgive_ban([" JANE@example.com", "jane"]);
        assert_eq!(world.get(JANE).await.status(), 200);
    }
}

/// During the ban, requests with the right password and with others go on, and their refusals begin pauses.
#[tokio::test(start_paused = true)]
async fn w5_a_lifted_ban_works_at_once_after_any_number_of_refusals() {
    for world in worlds() {
        world.fake.ban("jane");
        let mut throttled = 0;
        for minute in 0..200 {
            for (identifier, password) in [JANE, JANE_BY_NAME, (JANE.0, &*format!("guess {minute}"))] {
                let status = world.get_as(identifier, password).await.status();
                assert!(status == 401 || status == 429, "{status}");
                throttled += usize::from(status == 429);
            }
            tokio::time::advance(secs(60)).await;
        }
        assert!(throttled > 100, "{throttled}");
        world.fake.unban("jane");
        user_updated(&world);
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.get(JANE_BY_NAME).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_lifted_ban_ends_no_pause_that_wrong_passwords_have_begun() {
    for world in worlds() {
        world.fake.ban("jane");
        assert_eq!(world.get(JANE).await.status(), 401, "banned");
        world.fake.unban("jane");
        user_updated(&world);
        for guess in 0..5 {
            _ = world.get_as(JANE.0, &format!("guess {guess}")).await;
        }
        let calls = world.fake.count(Endpoint::Any);
        user_updated(&world);
        assert_eq!(world.get_as(JANE.0, "another guess").await.status(), 429);
        assert_eq!(world.fake.count(Endpoint::Any), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_lifted_lock_works_at_once_by_each_identifier() {
    for world in worlds() {
        world.fake.lock("jane");
        assert_eq!(world.get(JANE).await.status(), 401, "locked");
        for _ in 0..2 {
            assert_eq!(world.get(JANE_BY_NAME).await.status(), 401, "locked");
            tokio::time::advance(secs(11)).await;
        }
        assert_eq!(world.get(JANE).await.status(), 401, "in the pause for the lock");
        world.fake.unlock("jane");
        let calls = world.fake.count(Endpoint::Any);
        world.clerk.forgive_ban([JANE.0, "jane"]);
        assert_eq!(world.get(JANE).await.status(), 401);
        assert_eq!(world.fake.count(Endpoint::Any), calls);
        user_updated(&world);
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.get(JANE_BY_NAME).await.status(), 200);
    }
}

/// The refusal of a sign-in that began before the ban or the lock was lifted arrives after that.
#[tokio::test(start_paused = true)]
async fn w5_a_refusal_that_was_under_way_when_its_ground_was_lifted_is_not_remembered() {
    for locked in [false, true] {
        let [frontend, backend] = worlds();
        for (world, endpoint) in [(frontend, Endpoint::SignIns), (backend, Endpoint::Users)] {
            if locked {
                world.fake.lock("jane");
            } else {
                world.fake.ban("jane");
            }
            let hold = world.fake.hold_answer(endpoint);
            let waiting = {
                let world = world.clone();
                tokio::spawn(async move { world.get(JANE).await })
            };
            while hold.waiting() == 0 {
                run_ready_tasks().await;
            }
            if locked {
                world.fake.unlock("jane");
            } else {
                world.fake.unban("jane");
            }
            user_updated(&world);
            hold.release();
            assert_eq!(code(&waiting.await.unwrap()), "credentials_rejected");
            assert_eq!(world.get(JANE).await.status(), 200, "locked: {locked}, {endpoint:?}");
        }
    }
}

/// Guesses of an attacker who makes a webhook fly before each of them. Returns what the attacker sees, and how many of
/// the guesses reached Clerk.
async fn guesses(world: &World, between: impl Fn(&World)) -> (Vec<(u16, String)>, usize) {
    let mut seen = Vec::new();
    for round in 0..6 {
        for guess in 0..4 {
            for identifier in [JANE.0, "jane"] {
                between(world);
                // Each guess twice: the second one is remembered.
                for _ in 0..2 {
                    let response = world.get_as(identifier, &format!("guess {round} {guess}")).await;
                    let (status, headers, _) = wire(&response);
                    let retry_after = headers.into_iter().find(|(name, _)| name == "retry-after");
                    let minutes = retry_after.map(|(_, value)| value.parse::<u64>().unwrap().div_ceil(60));
                    seen.push((status, format!("{minutes:?}")));
                }
                between(world);
            }
        }
        tokio::time::advance(secs(700)).await;
    }
    (seen, world.fake.count(Endpoint::SignIns) + world.fake.count(Endpoint::VerifyPassword))
}

#[tokio::test(start_paused = true)]
async fn w5_ordinary_changes_of_an_account_gain_an_attacker_no_guess() {
    for (quiet, noisy) in worlds().into_iter().zip(worlds()) {
        let quiet = guesses(&quiet, |_| ()).await;
        let noisy = guesses(&noisy, user_updated).await;
        assert_eq!(quiet, noisy);
        assert!(quiet.1 < 10, "{} guesses reached Clerk", quiet.1);
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_refusal_from_before_a_user_existed_ends_when_the_user_is_created() {
    const NEW: Pair = ("new@example.com", "a password of somebody new");
    for world in worlds() {
        assert_eq!(world.get(NEW).await.status(), 401);
        assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
        world.fake.add_user(FakeUser::new(NEW.0).password(NEW.1));
        let calls = world.fake.count(Endpoint::Any);
        user_updated(&world);
        world.clerk.forgive_ban([NEW.0]);
        assert_eq!(world.get(NEW).await.status(), 401, "remembered");
        assert_eq!(world.fake.count(Endpoint::Any), calls);
        world.clerk.forgive_unknown_user([NEW.0, "new"]);
        assert_eq!(world.get(NEW).await.status(), 200);
        let calls = world.fake.count(Endpoint::Any);
        assert_eq!(world.get((JANE.0, "wrong")).await.status(), 401);
        assert_eq!(world.fake.count(Endpoint::Any), calls, "another identifier's");
    }
}

/// Every ordinary change of every user of the instance takes no room that a banned user's refusal needs.
#[tokio::test(start_paused = true)]
async fn w5_changes_of_a_hundred_thousand_strangers_lift_no_refusal() {
    let world = World::unlimited();
    world.fake.ban("jane");
    assert_eq!(world.get(JANE).await.status(), 401);
    for at in 0..100_000 {
        world.clerk.forgive_ban([format!("stranger{at}@example.com")]);
    }
    assert_eq!(world.get(JANE).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "remembered");
}
