//! Guesses through several replicas lock no account (rules H4, P3).

use std::time::{Duration, Instant};

use tower_clerk::testing::{Clock, Endpoint, FakeClerk};
use tower_clerk::{Access, Clerk, ClerkBuilder, Credentials};

use super::server::Redis;
use super::{Replicas, until};
use crate::common::{JANE, backend_builder};

/// Four failures reach Clerk before an identifier is paused. On a machine that is so busy that Redis seems away for a moment, one
/// or two less or more do. Replicas that share nothing let four through each.
const ABOUT_FOUR: std::ops::RangeInclusive<usize> = 2..=6;

/// Guesses at an identifier, one replica after the other. Returns the codes of the answers.
async fn guess(clerks: &[Clerk], identifier: &str, guesses: std::ops::Range<usize>) -> Vec<&'static str> {
    let mut codes = Vec::new();
    for at in guesses {
        let credentials = Credentials::new(identifier, format!("guess {at}")).unwrap();
        let error = clerks[at % clerks.len()].authenticate(&credentials, &Access::new()).await.unwrap_err();
        codes.push(error.code());
    }
    codes
}

fn failures(fake: &FakeClerk, endpoint: Endpoint) -> usize {
    let failed = |status: Option<http::StatusCode>| status.is_some_and(|status| status == 422);
    fake.requests_to(endpoint).iter().filter(|request| failed(request.status())).count()
}

#[tokio::test]
async fn h4_guesses_through_all_replicas_lock_no_account_with_redis_there_and_away() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..3).map(|_| redis.store())).await;
    replicas.sign_in(0, JANE).await;
    let codes = guess(&replicas.clerks, JANE.0, 0..30).await;
    assert!(codes.iter().all(|code| ["credentials_rejected", "throttled"].contains(code)), "{codes:?}");
    let shared = failures(&replicas.fake, Endpoint::SignIns);
    assert!(ABOUT_FOUR.contains(&shared), "{shared}, and not as many as through one replica");
    redis.kill();
    until("all are alone", || replicas.clerks.iter().all(|it| it.stats().replica.unwrap().is_alone)).await;
    guess(&replicas.clerks, JANE.0, 30..60).await;
    redis.run();
    until("none is alone", || replicas.clerks.iter().all(|it| !it.stats().replica.unwrap().is_alone)).await;
    guess(&replicas.clerks, JANE.0, 60..90).await;
    let all = failures(&replicas.fake, Endpoint::SignIns);
    assert!(all < 10, "{all} failures");
}

/// An outage from the start of the guesses on.
#[tokio::test]
async fn h4_without_redis_each_replica_lets_one_failure_of_an_identifier_through() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..3).map(|_| redis.store())).await;
    redis.kill();
    until("all are alone", || replicas.clerks.iter().all(|it| it.stats().replica.unwrap().is_alone)).await;
    guess(&replicas.clerks, JANE.0, 0..60).await;
    assert_eq!(failures(&replicas.fake, Endpoint::SignIns), 3);
    redis.run();
    until("none is alone", || replicas.clerks.iter().all(|it| !it.stats().replica.unwrap().is_alone)).await;
    guess(&replicas.clerks, "bob@example.com", 0..30).await;
    let of_bob = failures(&replicas.fake, Endpoint::SignIns) - 3;
    assert!(ABOUT_FOUR.contains(&of_bob), "{of_bob} of another identifier");
}

/// Only the look-up tells whose identifiers these are.
#[tokio::test]
async fn h4_failures_of_a_users_identifiers_count_together_in_all_replicas() {
    let Some(redis) = Redis::start() else { return };
    let fake = FakeClerk::builder().no_rate_limit().build();
    let build = |_| {
        let engine: ClerkBuilder = backend_builder(&fake, Clock::system()).unlimited_sign_ins();
        engine.store(redis.store()).build().unwrap()
    };
    let clerks: Vec<Clerk> = (0..3).map(build).collect();
    until("they are connected", || clerks.iter().all(|it| !it.stats().replica.unwrap().is_alone)).await;
    let mut took = Vec::new();
    for at in 0..30 {
        for identifier in ["jane", "jane@example.com", "nobody@example.com"] {
            let began = Instant::now();
            guess(&clerks, identifier, at..at + 1).await;
            took.push(began.elapsed());
        }
    }
    let failures = failures(&fake, Endpoint::VerifyPassword);
    assert!((4..7).contains(&failures), "{failures} failures of one user");
    assert!(took.iter().max() < Some(&Duration::from_secs(5)), "{took:?}");
}

#[tokio::test]
async fn h4_a_success_clears_the_failures_of_all_replicas_and_forgiving_lifts_their_pause() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    guess(&replicas.clerks[..1], JANE.0, 0..3).await;
    replicas.sign_in(1, JANE).await;
    let before = failures(&replicas.fake, Endpoint::SignIns);
    guess(&replicas.clerks[1..], JANE.0, 3..20).await;
    let after = failures(&replicas.fake, Endpoint::SignIns) - before;
    assert!(ABOUT_FOUR.contains(&after), "{after}, and not as many as after any success");
    let codes = guess(&replicas.clerks[..1], JANE.0, 20..40).await;
    assert!(codes.iter().all(|code| ["credentials_rejected", "throttled"].contains(code)), "{codes:?}");
    let after = failures(&replicas.fake, Endpoint::SignIns) - before;
    assert!(ABOUT_FOUR.contains(&after), "{after}: the other one doesn't know it");
    replicas.clerks[1].forgive(JANE.0);
    until("it is forgiven", || replicas.clerks[0].stats().replica.unwrap().known_changes == 1).await;
    replicas.sign_in(0, JANE).await;
}
