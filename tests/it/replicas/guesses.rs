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

/// The largest number that Redis has of the failures of any user or identifier.
fn in_redis(redis: &Redis, field: &str) -> u64 {
    let names: Vec<String> = redis::from_redis_value(redis.ask(&["KEYS", "*:failures:*"])).unwrap();
    let number = |name: String| redis::from_redis_value(redis.ask(&["HGET", &name, field])).unwrap();
    names.into_iter().filter_map(number).max().unwrap_or_default()
}

/// Lifts the pause of the only identifier, as often as this.
async fn forgive(replicas: &Replicas, redis: &Redis, times: usize) {
    replicas.clerks[0].forgive(JANE.0);
    let knows = |it: &Clerk| it.stats().replica.unwrap().known_changes == times;
    until("it is forgiven", || replicas.clerks.iter().all(knows)).await;
    until("it is forgiven in Redis", || in_redis(redis, "u") == 0).await;
}

/// Five failures of which each replica has seen one or two, so that none has a pause of its own after that.
#[tokio::test]
async fn h4_failures_are_counted_on_when_redis_comes_back_empty() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..4).map(|_| redis.store())).await;
    for at in 0..4 {
        guess(&replicas.clerks, JANE.0, at..at + 1).await;
        until("it is counted", || in_redis(&redis, "n") == at as u64 + 1).await;
    }
    forgive(&replicas, &redis, 1).await;
    guess(&replicas.clerks, JANE.0, 4..5).await;
    until("it is counted", || in_redis(&redis, "n") == 5).await;
    redis.kill();
    until("all are alone", || replicas.clerks.iter().all(|it| it.stats().replica.unwrap().is_alone)).await;
    redis.run();
    until("none is alone", || replicas.clerks.iter().all(|it| !it.stats().replica.unwrap().is_alone)).await;
    for at in 5..9 {
        let (failed, counted) = (failures(&replicas.fake, Endpoint::SignIns), in_redis(&redis, "n"));
        guess(&replicas.clerks, JANE.0, at..at + 1).await;
        let has_failed = failures(&replicas.fake, Endpoint::SignIns) > failed;
        until("it is counted", || !has_failed || in_redis(&redis, "n") > counted).await;
    }
    forgive(&replicas, &redis, 2).await;
    guess(&replicas.clerks, JANE.0, 9..10).await;
    let all = failures(&replicas.fake, Endpoint::SignIns);
    assert!(all <= 8, "{all}: five, two of replicas that know of two and three, and one that was forgiven");
}

/// The first replica doesn't hear of the success in the other one, and goes on with its own count.
#[tokio::test]
async fn h4_failures_before_a_success_in_another_replica_are_not_counted_again() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    guess(&replicas.clerks[..1], JANE.0, 0..3).await;
    // On a machine that is so busy that Redis seems away for a moment, one of them doesn't reach Clerk.
    let failed = failures(&replicas.fake, Endpoint::SignIns);
    until("they are counted", || in_redis(&redis, "n") == failed as u64).await;
    replicas.sign_in(1, JANE).await;
    until("they are cleared", || in_redis(&redis, "n") == 0).await;
    guess(&replicas.clerks[..1], JANE.0, 3..4).await;
    let reached = (failures(&replicas.fake, Endpoint::SignIns) - failed) as u64;
    until("it is counted", || in_redis(&redis, "n") >= reached).await;
    assert_eq!(in_redis(&redis, "n"), reached);
}

/// Guesses through one replica until so many failures are counted. While it takes Redis for away, as on a machine that is very
/// busy, it lets hardly any guess through.
async fn count_up(clerk: &Clerk, redis: &Redis, identifier: &str, failures: u64) {
    let began = std::time::Instant::now();
    let mut at = 0;
    while in_redis(redis, "n") < failures && began.elapsed().as_secs() < 30 {
        guess(std::slice::from_ref(clerk), identifier, at..at + 1).await;
        at += 1;
        // The count arrives a moment later.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(in_redis(redis, "n"), failures);
}

/// Somebody who writes to Redis can hinder the identifier whose key it is.
#[tokio::test]
async fn h4_a_key_of_another_kind_hinders_no_other_identifier() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    count_up(&replicas.clerks[1], &redis, "bob@example.com", 4).await;
    let of_bob = redis.name("*:failures:*").unwrap();
    guess(&replicas.clerks[1..], JANE.0, 0..1).await;
    let names = || redis::from_redis_value::<Vec<String>>(redis.ask(&["KEYS", "*:failures:*"])).unwrap();
    until("it is counted", || names().len() == 2).await;
    let of_jane = names().into_iter().find(|name| *name != of_bob).unwrap();
    redis.ask(&["SET", &of_jane, "of another kind"]);
    let before = failures(&replicas.fake, Endpoint::SignIns);
    guess(&replicas.clerks[..1], JANE.0, 1..2).await;
    guess(&replicas.clerks[..1], "bob@example.com", 4000..4001).await;
    assert_eq!(failures(&replicas.fake, Endpoint::SignIns) - before, 1, "the other one is paused");
}

/// A process that is killed and starts again is another member each time.
#[tokio::test]
async fn h4_silent_replicas_bring_no_pause_forward() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited([redis.store()]).await;
    until("it is a member", || redis.name("*:members:*").is_some()).await;
    redis.add_silent(4);
    count_up(&replicas.clerks[0], &redis, JANE.0, 4).await;
    let left = in_redis(&redis, "u").saturating_sub(redis.now());
    assert!((500_000..=600_000).contains(&left), "ten minutes: {left} ms");
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
