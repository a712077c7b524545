//! The part of the Backend API's budget that lists take, and their urgency (rule Y20).

use std::time::Duration;

use tower_clerk::ClerkBuilder;
use tower_clerk::backend::{BackendClient, UserQuery};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault, RetryAfter};

use super::{Lists, SECOND};
use crate::common::{JANE, World, in_time, run_ready_tasks, session};

/// Reads this many pages one after the other, in a task.
fn read(client: &BackendClient, pages: usize) -> tokio::task::JoinHandle<()> {
    let client = client.clone();
    tokio::spawn(async move {
        for _ in 0..pages {
            client.users(&UserQuery::new().limit(1)).await.unwrap();
        }
    })
}

#[tokio::test(start_paused = true)]
async fn y20_two_lists_at_once_take_a_tenth_of_the_budget_in_equal_steps() {
    for (key, calls_of_ten_seconds) in [("sk_live_0123", 80), ("sk_test_0123", 8)] {
        let lists = Lists::with(|fake| fake.secret_key(key), |client| client);
        let began = tokio::time::Instant::now();
        let both = [read(&lists.client, calls_of_ten_seconds), read(&lists.client, calls_of_ten_seconds)];
        for reads in both {
            in_time(reads).await.unwrap();
        }
        assert_eq!(lists.fake.count(Endpoint::Users), 2 * calls_of_ten_seconds);
        assert_eq!(lists.fake.max_in_window(Endpoint::Backend, 10 * SECOND), calls_of_ten_seconds, "{key}");
        assert!(
            lists.fake.max_in_window(Endpoint::Backend, SECOND) <= calls_of_ten_seconds.div_ceil(10),
            "{key}"
        );
        let took = began.elapsed();
        assert!(took >= 18 * SECOND && took <= 20 * SECOND, "{key}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn y20_the_rate_of_lists_is_a_setting() {
    let lists = Lists::with(|fake| fake, |client| client.list_rate(2, SECOND));
    in_time(read(&lists.client, 10)).await.unwrap();
    assert_eq!(lists.fake.max_in_window(Endpoint::Users, SECOND), 2);
    let world = World::backend_with(|fake| fake, |engine| engine.backend_list_rate(5, SECOND));
    let [one, two] = [world.clerk.backend().unwrap(), world.clerk.backend().unwrap()];
    for reads in [read(&one, 10), read(&two, 10)] {
        in_time(reads).await.unwrap();
    }
    assert_eq!(world.fake.max_in_window(Endpoint::Users, SECOND), 5, "the clients of an engine share it");
}

/// A sign-in by the Backend API takes several calls, and its time is the same while lists are read.
#[tokio::test(start_paused = true)]
async fn y20_a_list_delays_no_sign_in() {
    let took = async |lists: usize| {
        let world = World::backend_with(FakeClerkBuilder::no_rate_limit, ClerkBuilder::unlimited_sign_ins);
        let reads: Vec<_> = (0..lists).map(|_| read(&world.clerk.backend().unwrap(), 1_000)).collect();
        run_ready_tasks().await;
        tokio::time::sleep(SECOND).await;
        let began = tokio::time::Instant::now();
        session(&world.get(JANE).await);
        reads.iter().for_each(tokio::task::JoinHandle::abort);
        began.elapsed()
    };
    let alone = took(0).await;
    assert_eq!(took(20).await, alone);
}

/// The other calls of the budget come first, and a list waits where those would be refused.
#[tokio::test(start_paused = true)]
async fn y20_a_list_waits_as_long_as_it_takes() {
    let lists = Lists::with(FakeClerkBuilder::no_rate_limit, |client| client.list_rate(1, 3600 * SECOND));
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        // Beyond the ten minutes of `in_time`.
        lists.client.users(&UserQuery::new()).await.unwrap();
    }
    assert!(began.elapsed() >= 2 * 3600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn y20_a_list_that_is_dropped_while_it_waits_holds_up_no_other() {
    let lists = Lists::with(FakeClerkBuilder::no_rate_limit, |client| client.list_rate(1, 10 * SECOND));
    in_time(read(&lists.client, 1)).await.unwrap();
    let waiting = read(&lists.client, 1);
    run_ready_tasks().await;
    waiting.abort();
    let began = tokio::time::Instant::now();
    in_time(read(&lists.client, 1)).await.unwrap();
    assert!(began.elapsed() <= 10 * SECOND + Duration::from_millis(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn y20_a_pause_that_clerk_asks_for_is_waited_out() {
    for wait in [1, 30, 200] {
        let lists = Lists::new();
        let retry_after = RetryAfter::Seconds(wait);
        lists.fake.script_times(Endpoint::Users, 2, Fault::RateLimited { retry_after });
        let began = tokio::time::Instant::now();
        lists.client.users(&UserQuery::new()).await.unwrap();
        let (took, least) = (began.elapsed(), Duration::from_secs(2 * wait));
        assert!(took >= least && took <= least + 3 * SECOND, "{wait}: {took:?}");
        assert_eq!(lists.fake.count(Endpoint::Users), 3);
    }
}

/// The engine's calls pause as well, since Clerk's quota is one.
#[tokio::test(start_paused = true)]
async fn y20_a_429_of_a_list_pauses_all_calls_of_the_budget() {
    let world = World::backend();
    let retry_after = RetryAfter::Seconds(20);
    world.fake.script(Endpoint::Users, Fault::RateLimited { retry_after });
    let reads = read(&world.clerk.backend().unwrap(), 1);
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::Backend), 1);
    assert_eq!(world.get(JANE).await.status(), 503);
    assert_eq!(world.fake.count(Endpoint::Backend), 1, "no call during the pause");
    in_time(reads).await.unwrap();
    assert_eq!(world.fake.count(Endpoint::Backend), 2);
}
