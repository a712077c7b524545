//! The sign-in budget is one for all replicas, also while Redis dies and comes back empty (rule H4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tower_clerk::store::RedisStore;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser};
use tower_clerk::{Access, Clerk, ClerkBuilder, Credentials};

use super::server::Redis;
use super::{Replicas, until};
use crate::common::{BOB, CAROL, JANE, Pair};

/// Clerk's limit, in a shorter window.
const LIMIT: (u32, Duration) = (5, Duration::from_secs(1));

/// The window in which the stand-in counts: on a busy machine a sign-in arrives some time after it was allowed.
const AT_CLERK: Duration = Duration::from_millis(700);

/// How old the log of permits has to be: the window, the time for a call, two seconds, and the longest pause before another
/// try to connect.
const MATURE: Duration = Duration::from_millis(1000 + 500 + 2000 + 5000);

fn users() -> FakeClerk {
    let fake = FakeClerk::builder().sign_in_limit(LIMIT.0 as usize, AT_CLERK).build();
    for at in 0..100 {
        fake.add_user(FakeUser::new(format!("user{at}@example.com")).password(PASSWORD));
    }
    fake
}

const PASSWORD: &str = "correct horse battery staple";

async fn replicas(redis: &Redis, count: usize) -> Replicas {
    replicas_of((0..count).map(|_| redis.store())).await
}

async fn replicas_of(stores: impl IntoIterator<Item = RedisStore>) -> Replicas {
    let engine =
        |it: ClerkBuilder| it.sign_in_rate(LIMIT.0, LIMIT.1).upstream_timeout(Duration::from_millis(500));
    Replicas::of(users(), stores, engine).await
}

/// Starts sign-ins of these users, each at another replica, all at once.
fn start(
    replicas: &Replicas,
    users: std::ops::Range<usize>,
) -> Vec<tokio::task::JoinHandle<Result<(), &'static str>>> {
    let sign_in = |at: usize| {
        let clerk: Clerk = replicas.clerks[at % replicas.clerks.len()].clone();
        tokio::spawn(async move {
            let credentials = Credentials::new(format!("user{at}@example.com"), PASSWORD).unwrap();
            clerk.authenticate(&credentials, &Access::new()).await.map(drop).map_err(|error| error.code())
        })
    };
    users.map(sign_in).collect()
}

/// The most sign-ins in any window, and how many were refused.
fn at_clerk(fake: &FakeClerk) -> (usize, usize) {
    let requests = fake.requests_to(Endpoint::SignIns);
    let of_window = |from: tokio::time::Instant| {
        requests.iter().filter(|it| it.at() >= from && it.at() < from + AT_CLERK).count()
    };
    let most = requests.iter().map(|it| of_window(it.at())).max().unwrap_or_default();
    (most, requests.iter().filter(|it| it.status().is_some_and(|status| status == 429)).count())
}

#[tokio::test]
async fn h4_the_sign_in_budget_is_one_for_all_replicas() {
    let Some(redis) = Redis::start() else { return };
    let replicas = replicas(&redis, 3).await;
    until("all are members", || {
        replicas.clerks.iter().all(|clerk| clerk.stats().replica.unwrap().replicas == 3)
    })
    .await;
    // A log of permits that is new can't be relied on: the replicas take turns.
    let began = Instant::now();
    for sign_in in start(&replicas, 0..8) {
        assert_eq!(sign_in.await.unwrap(), Ok(()));
    }
    until("the log can be relied on", || began.elapsed() > MATURE).await;
    let from = Instant::now();
    for sign_in in start(&replicas, 10..30) {
        assert_eq!(sign_in.await.unwrap(), Ok(()));
    }
    assert!(from.elapsed() < Duration::from_secs(8), "20 sign-ins at five in a second: {:?}", from.elapsed());
    assert_eq!(at_clerk(&replicas.fake), (5, 0));
}

/// Redis is killed while sign-ins are under way, and comes back empty while others wait.
#[tokio::test]
async fn h4_the_budget_holds_while_redis_dies_and_comes_back_empty() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = replicas(&redis, 3).await;
    let began = Instant::now();
    until("the log can be relied on", || began.elapsed() > MATURE).await;
    let mut sign_ins = start(&replicas, 0..10);
    until("some are under way", || replicas.fake.count(Endpoint::SignIns) >= 3).await;
    redis.kill();
    sign_ins.extend(start(&replicas, 10..25));
    until("some are made alone", || replicas.fake.count(Endpoint::SignIns) >= 12).await;
    redis.run();
    sign_ins.extend(start(&replicas, 25..50));
    let mut served = 0;
    for sign_in in sign_ins {
        match sign_in.await.unwrap() {
            Ok(()) => served += 1,
            Err(code) => assert_eq!(code, "upstream_rate_limited"),
        }
    }
    let (most, refused) = at_clerk(&replicas.fake);
    assert!(most <= 5 && refused == 0, "{most} in a window, {refused} times 429");
    assert!(served >= 40, "{served} of 50 served");
}

#[tokio::test]
async fn h4_a_replica_that_leaves_gives_its_part_of_the_budget_back() {
    let Some(redis) = Redis::start() else { return };
    let mut replicas = replicas(&redis, 3).await;
    let members = |replicas: &Replicas| replicas.clerks[0].stats().replica.unwrap().replicas;
    until("all are members", || members(&replicas) == 3).await;
    let name = redis.name("*:members:*").unwrap();
    replicas.clerks[2].shutdown(Duration::from_secs(5)).await;
    assert_eq!(redis.ask(&["ZCARD", &name]), redis::Value::Int(2), "it has left before the process ends");
    replicas.clerks.truncate(1);
    until("another one has left", || members(&replicas) == 1).await;
}

/// Adds members that are silent, and waits until the log of permits can be relied on.
async fn with_silent(redis: &Redis, silent: usize) {
    let began = Instant::now();
    until("it is a member", || redis.name("*:members:*").is_some()).await;
    redis.add_silent(silent);
    until("the log can be relied on", || began.elapsed() > MATURE).await;
}

#[tokio::test]
async fn h4_the_part_of_a_silent_replica_is_withheld() {
    let Some(redis) = Redis::start() else { return };
    let replicas = replicas(&redis, 1).await;
    with_silent(&redis, 1).await;
    for sign_in in start(&replicas, 0..8) {
        assert_eq!(sign_in.await.unwrap(), Ok(()));
    }
    assert_eq!(at_clerk(&replicas.fake), (2, 0), "of five, three are withheld for one of two");
}

/// As after a process that was killed and started again five times.
#[tokio::test]
async fn h4_one_sign_in_in_a_window_is_left_beside_silent_replicas() {
    let Some(redis) = Redis::start() else { return };
    let replicas = replicas(&redis, 1).await;
    with_silent(&redis, 5).await;
    for sign_in in start(&replicas, 0..3) {
        assert_eq!(sign_in.await.unwrap(), Ok(()));
    }
    assert_eq!(at_clerk(&replicas.fake), (1, 0), "of five, all would be withheld for five of six");
}

/// It answers each beat, and no request in time.
#[tokio::test]
async fn h4_with_a_slow_redis_a_replica_takes_its_turns_and_leaves_the_others_their_part() {
    let Some(redis) = Redis::start() else { return };
    let late = Arc::new(AtomicU64::new(0));
    let replicas = replicas_of([redis.slow_store(&late), redis.store()]).await;
    let began = Instant::now();
    until("the log can be relied on", || began.elapsed() > MATURE).await;
    for sign_in in start(&replicas, 0..2) {
        assert_eq!(sign_in.await.unwrap(), Ok(()), "by the log");
    }
    late.store(300, Ordering::Relaxed);
    for sign_in in start(&replicas, 2..8) {
        assert_eq!(sign_in.await.unwrap(), Ok(()));
    }
    assert!(!replicas.clerks[0].stats().replica.unwrap().is_alone, "its connection is in use");
    let (most, refused) = at_clerk(&replicas.fake);
    assert!(most <= 5 && refused == 0, "{most} in a window, {refused} times 429");
}

/// Its calls are not answered, which is noticed once.
#[tokio::test]
async fn h3_a_redis_that_gives_no_answer_delays_a_request_by_a_tenth_of_a_second_and_then_not_at_all() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited([redis.store().patience(Duration::from_millis(100))]).await;
    // Before that, Redis counts as away.
    until("it is connected", || !replicas.clerks[0].stats().replica.unwrap().is_alone).await;
    replicas.sign_in(0, JANE).await;
    // On a busy machine that answer may have been late, and Redis left alone for a second.
    let signed_in = Instant::now();
    until("it is asked again", || signed_in.elapsed() > Duration::from_millis(1_100)).await;
    redis.signal("-STOP");
    let mut times = Vec::new();
    let again: Pair = ("Bob@Example.com", BOB.1);
    for pair in [BOB, CAROL, again] {
        let began = Instant::now();
        replicas.sign_in(0, pair).await;
        times.push(began.elapsed());
    }
    redis.signal("-CONT");
    // Other work of this machine is in both.
    assert!(times[0] >= Duration::from_millis(100) && times[0] < Duration::from_millis(600), "{times:?}");
    assert!(times[1].min(times[2]) < Duration::from_millis(100), "{times:?}");
}
