//! Both providers answer alike, except where Clerk's two APIs differ.

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, code, session};
use http::Response;
use tower_clerk::ClerkApi;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

const WRONG: &str = "not the password";

async fn both(pair: Pair) -> [Response<String>; 2] {
    [World::new().get(pair).await, World::backend().get(pair).await]
}

fn summary(response: &Response<String>) -> (u16, &'static str) {
    (response.status().as_u16(), code(response))
}

#[tokio::test(start_paused = true)]
async fn s3_both_providers_answer_every_demo_account_alike() {
    for (pair, expected) in [
        (JANE, (200, "")),
        (("jane", JANE.1), (200, "")),
        (BOB, (200, "")),
        (CAROL, (200, "")),
        (("mfa@example.com", "second factor please"), (403, "second_factor_required")),
        (("locked@example.com", "locked out for an hour"), (401, "credentials_rejected")),
        (("banned@example.com", "banned for good"), (401, "credentials_rejected")),
        (("sso@example.com", "anything"), (401, "credentials_rejected")),
        (("nobody@example.com", "anything"), (401, "credentials_rejected")),
        (("nobody", "anything"), (401, "credentials_rejected")),
        (("+15555550100", "anything"), (401, "credentials_rejected")),
        (("jane@example.com", WRONG), (401, "credentials_rejected")),
        (("mfa@example.com", WRONG), (401, "credentials_rejected")),
        (("newdevice@example.com", WRONG), (401, "credentials_rejected")),
        (("expired@example.com", WRONG), (401, "credentials_rejected")),
    ] {
        let [frontend, backend] = both(pair).await;
        assert_eq!(summary(&frontend), expected, "{} on the frontend api", pair.0);
        assert_eq!(summary(&backend), expected, "{} on the backend api", pair.0);
        if expected.0 != 200 {
            assert_eq!(crate::common::wire(&frontend), crate::common::wire(&backend), "{}", pair.0);
        }
    }
}

/// The differences that the README lists.
#[tokio::test(start_paused = true)]
async fn s3_the_providers_differ_where_clerk_does() {
    let [frontend, backend] = both(("newdevice@example.com", "trust me on a device")).await;
    assert_eq!(summary(&frontend), (403, "account_action_required"));
    assert_eq!(summary(&backend), (200, ""), "Device Trust applies only to sign-ins from a device");
    let [frontend, backend] = both(("expired@example.com", "please choose a new one")).await;
    assert_eq!(summary(&frontend), (403, "account_action_required"));
    assert_eq!(summary(&backend), (200, ""), "verify_password does not report that the password has expired");
}

#[tokio::test(start_paused = true)]
async fn o4_sessions_and_stats_name_the_provider() {
    for (world, api) in [(World::new(), ClerkApi::Frontend), (World::backend(), ClerkApi::Backend)] {
        let response = world.get(JANE).await;
        assert_eq!(session(&response).via(), Some(api));
        assert_eq!(world.clerk.stats().api, api);
        assert!(format!("{:?}", session(&response)).contains(&format!("{api:?}")));
    }
    let stats = World::new().clerk.stats();
    assert_eq!((stats.max_users_per_address, stats.max_active_users), (Some(1_800), None));
    let stats = World::backend().clerk.stats();
    // Five sign-ins per 10 s for seven days; eight calls per second (a development key) for 45 s.
    assert_eq!((stats.max_users_per_address, stats.max_active_users), (Some(302_400), Some(360)));
}

#[tokio::test(start_paused = true)]
async fn p3_both_providers_throttle_guesses_alike() {
    let mut all_answers = Vec::new();
    for world in [World::unlimited(), World::backend()] {
        let mut answers = Vec::new();
        for guess in 0..8 {
            let password = format!("guess {guess}");
            let pair = ("jane@example.com", password.as_str());
            let response = crate::common::ask(&world.layer(), crate::common::basic(pair)).await;
            answers.push(summary(&response));
        }
        all_answers.push(answers);
        assert_eq!(world.clerk.stats().count(Outcome::Throttled), 4, "{all_answers:?}");
    }
    assert_eq!(all_answers[0], all_answers[1]);
}

/// An attacker could otherwise get new attempts by respelling the number.
#[tokio::test(start_paused = true)]
async fn p3_a_phone_number_is_one_identifier_in_every_spelling() {
    let world = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| engine.unlimited_sign_ins());
    world.fake.add_user(tower_clerk::testing::FakeUser::new("+15555550123").password("right one"));
    for (guess, between) in
        ('a'..='z').chain(['*', '_', '+', '#', ',', ';', '\u{a0}', '.', '/', '(']).enumerate()
    {
        let (identifier, password) = (format!("+1555{between}5550123"), format!("guess {guess}"));
        crate::common::ask(&world.layer(), crate::common::basic((identifier.as_str(), password.as_str())))
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(
        world.fake.count(Endpoint::VerifyPassword) <= 4,
        "{} calls",
        world.fake.count(Endpoint::VerifyPassword)
    );
}

/// Clerk locks users, not identifiers, and the look-up returns the user of an identifier.
#[tokio::test(start_paused = true)]
async fn p3_failures_of_a_users_identifiers_count_together_before_any_success() {
    let world = World::backend_with(
        |fake| fake.no_rate_limit().verify_password_counts(true),
        |engine| engine.unlimited_sign_ins(),
    );
    let about = tower_clerk::testing::FakeUser::new("ada@example.com").username("ada").phone("+15555550123");
    world.fake.add_user(about.email("ada@example.org").password("right one"));
    let mut all_answers = Vec::new();
    for identifier in ["ada@example.com", "ada", "+15555550123", "ada@example.org", "nobody@example.org"] {
        let mut answers = Vec::new();
        for guess in 0..6 {
            let password = format!("guess {guess}");
            let pair = (identifier, password.as_str());
            answers.push(summary(&crate::common::ask(&world.layer(), crate::common::basic(pair)).await));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        all_answers.push(answers);
    }
    assert!(all_answers.iter().all(|answers| *answers == all_answers[0]), "{all_answers:?}");
    assert!(
        world.fake.count(Endpoint::VerifyPassword) <= 4,
        "{} calls",
        world.fake.count(Endpoint::VerifyPassword)
    );
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(
        summary(&world.get(("ada", "right one")).await),
        (200, ""),
        "Clerk has not locked the account"
    );
}

/// Clerk does not document whether `verify_password` counts towards its lockout, so the test covers both cases.
#[tokio::test(start_paused = true)]
async fn p3_no_account_is_locked_whether_verify_password_counts_or_not() {
    for counts in [false, true] {
        let world = World::backend_with(|fake| fake.verify_password_counts(counts), |engine| engine);
        for hour in 0..48 {
            for guess in 0..20 {
                let password = format!("guess {hour} {guess}");
                let response =
                    crate::common::ask(&world.layer(), crate::common::basic(("bob", password.as_str())))
                        .await;
                assert_ne!(response.status(), 200);
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        assert!(
            world.fake.count(Endpoint::VerifyPassword) < 10,
            "stays below the threshold of Clerk's lockout"
        );
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        assert_eq!(summary(&world.get(("bob@example.com", BOB.1)).await), (200, ""), "counts: {counts}");
    }
}

/// The response times do not reveal whether an account exists: their distributions overlap.
#[tokio::test(start_paused = true)]
async fn p3_an_unknown_identifier_takes_as_long_as_a_wrong_password() {
    let hashing = Duration::from_millis(180);
    let world = World::backend_with(
        |fake| FakeClerkBuilder::no_rate_limit(fake).verify_password_time(hashing),
        |engine| engine.unlimited_sign_ins(),
    );
    for guess in 0..30 {
        world.fake.add_user(
            tower_clerk::testing::FakeUser::new(format!("user{guess}@example.com")).password("right one"),
        );
    }
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for guess in 0..30 {
        let known = format!("user{guess}@example.com");
        let unknown = format!("nobody{guess}@example.com");
        for (at, identifier) in [&*known, &*unknown, "sso@example.com"].into_iter().enumerate() {
            let start = world.clock.now();
            let password = format!("wrong {guess}");
            let response =
                crate::common::ask(&world.layer(), crate::common::basic((identifier, password.as_str())))
                    .await;
            assert_ne!(response.status(), 200);
            if response.status() == 401 {
                times[at].push(world.clock.now() - start);
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    let mean = |times: &[Duration]| times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap();
    let [known, unknown, no_password] = times;
    assert!(known.len() == 30 && unknown.len() == 30 && no_password.len() >= 4);
    for other in [&unknown, &no_password] {
        let off = mean(&known).abs_diff(mean(other));
        assert!(off < hashing / 10, "{:?} and {:?}", mean(&known), mean(other));
    }
    assert!(known.iter().min() <= unknown.iter().max() && unknown.iter().min() <= known.iter().max());
}
