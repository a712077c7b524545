//! The public helpers for tests of applications (`tower_clerk::testing`).

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use tokio::time::Instant;
use tower_clerk::testing::{self, Clock, Endpoint, FakeClerk, FakeUser};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

use super::common::{ask, session};

const PASSWORD: &str = "the same for all";

/// Signs in seven users, two more than Clerk accepts in ten seconds, and returns how long that took.
async fn seven_sign_ins(fake: &FakeClerk, clerk: &Clerk) -> Duration {
    let layer = ClerkBasicAuthLayer::new(clerk.clone());
    let start = Instant::now();
    for number in 0..7 {
        let user = format!("user{number}@example.com");
        fake.add_user(FakeUser::new(&user).password(PASSWORD));
        let request = Request::get("/me").header(AUTHORIZATION, testing::basic(&user, PASSWORD));
        assert_eq!(ask(&layer, request.body(()).unwrap()).await.status(), StatusCode::OK, "{user}");
    }
    assert_eq!(fake.live_sessions(), 7);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn seven_users_sign_in_one_after_another_without_a_wait() {
    let (fake, clerk) = testing::unlimited();
    assert_eq!(seven_sign_ins(&fake, &clerk).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn unlimited_builder_lifts_the_limits_of_the_engine_and_the_stand_in() {
    let fake = FakeClerk::builder().sign_in_limit(1, Duration::from_secs(3600)).build();
    let clerk = testing::unlimited_builder(&fake).build().unwrap();
    assert_eq!(seven_sign_ins(&fake, &clerk).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_large_backend_rate_lifts_the_backend_apis_budget() {
    let fake = FakeClerk::new();
    let clerk = testing::unlimited_builder(&fake)
        .secret_key(fake.secret_key())
        .backend_url(fake.backend_url())
        .backend_rate(10_000, Duration::from_secs(1))
        .build()
        .unwrap();
    let waited = seven_sign_ins(&fake, &clerk).await;
    assert!(waited < Duration::from_millis(50), "sign-ins waited for {waited:?}");
    assert_eq!(fake.count(Endpoint::VerifyPassword), 7);
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_count_without_a_sign_in_limit() {
    let (_fake, clerk) = testing::unlimited();
    let layer = ClerkBasicAuthLayer::new(clerk);
    let get = async |password: String| {
        let request = Request::get("/me").header(AUTHORIZATION, testing::basic("jane", &password));
        ask(&layer, request.body(()).unwrap()).await.status()
    };
    for number in 0..4 {
        assert_eq!(get(format!("wrong {number}")).await, StatusCode::UNAUTHORIZED, "{number}");
    }
    assert_eq!(get("correct horse battery staple".to_owned()).await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn unlimited_builder_uses_the_clock_of_the_stand_in() {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    let fake = FakeClerk::builder().clock(clock).build();
    tokio::time::advance(Duration::from_secs(90)).await;
    let layer = ClerkBasicAuthLayer::new(testing::unlimited_builder(&fake).build().unwrap());
    let request = Request::get("/me")
        .header(AUTHORIZATION, testing::basic("carol@example.com", "personal account only"));
    let response = ask(&layer, request.body(()).unwrap()).await;
    let life = session(&response).expires_at().duration_since(clock.wall()).unwrap();
    assert_eq!(life, Duration::from_secs(60));
}

#[test]
#[should_panic(expected = "a user with a colon")]
fn basic_panics_if_the_user_has_a_colon() {
    let _ = testing::basic("jane:doe", PASSWORD);
}
