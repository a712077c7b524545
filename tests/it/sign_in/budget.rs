//! The sign-in budget, and the answers to requests that get no permit in time (rules P1, P2).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, code, run_ready_tasks};
use http::Response;
use tokio::task::JoinSet;
use tower_clerk::testing::{Endpoint, FakeUser, Fault, RetryAfter};

const WINDOW: Duration = Duration::from_secs(10);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world with users named `user-0`, `user-1` and so on, and an engine with the default budget.
fn crowd(users: usize, wait: Duration) -> World {
    let world = World::with(|fake| fake, |engine| engine.sign_in_wait(wait));
    for number in 0..users {
        world.fake.add_user(FakeUser::new(format!("user-{number}")).password("one for all of them"));
    }
    world
}

fn spawn(world: &World, users: std::ops::Range<usize>) -> JoinSet<Response<String>> {
    users
        .map(|number| {
            let layer = world.layer();
            async move { ask(&layer, basic((&format!("user-{number}"), "one for all of them"))).await }
        })
        .collect()
}

fn retry_after(response: &Response<String>) -> u64 {
    response.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn p1_at_most_five_sign_ins_start_in_any_ten_seconds() {
    let world = crowd(14, secs(60));
    // Clerk is slow, so that sign-ins start and finish at different times.
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(700)));
    let mut tasks = spawn(&world, 0..7);
    tokio::time::sleep(secs(3)).await;
    let late = spawn(&world, 7..10);
    tokio::time::sleep(secs(8)).await;
    let later = spawn(&world, 10..14);
    for tasks in [std::mem::take(&mut tasks), late, later] {
        for response in tasks.join_all().await {
            assert_eq!(response.status(), 200, "{}", code(&response));
        }
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 14);
    assert_eq!(world.fake.max_in_window(Endpoint::SignIns, WINDOW), 5);
}

#[tokio::test(start_paused = true)]
async fn p1_a_burst_gets_no_refill_on_top() {
    let world = crowd(20, secs(60));
    // After an idle time a token bucket would be full, and would refill during the burst.
    tokio::time::sleep(secs(100)).await;
    let responses = spawn(&world, 0..20).join_all().await;
    assert!(responses.iter().all(|response| response.status() == 200));
    assert_eq!(world.fake.max_in_window(Endpoint::SignIns, WINDOW), 5);
}

#[tokio::test(start_paused = true)]
async fn p1_failed_sign_ins_use_permits_like_any_other() {
    let world = crowd(20, secs(60));
    world.fake.script(Endpoint::SignIns, Fault::Status(500));
    world.fake.script(Endpoint::SignIns, Fault::Hang);
    world.fake.script(Endpoint::SignIns, Fault::Reset);
    let mut guesses: JoinSet<_> = (0..4)
        .map(|number| {
            let layer = world.layer();
            async move { ask(&layer, basic((&format!("user-{number}"), "a wrong one"))).await }
        })
        .collect();
    run_ready_tasks().await;
    let rest = spawn(&world, 4..20).join_all().await;
    assert!(rest.iter().all(|response| response.status() == 200));
    while let Some(response) = guesses.join_next().await {
        assert_ne!(response.unwrap().status(), 200);
    }
    assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
}

#[tokio::test(start_paused = true)]
async fn p1_a_request_whose_permit_is_too_late_is_503_at_once() {
    let world = crowd(20, secs(5));
    assert!(spawn(&world, 0..5).join_all().await.iter().all(|response| response.status() == 200));
    tokio::time::sleep(secs(2)).await;
    let start = world.clock.now();
    let responses = spawn(&world, 5..7).join_all().await;
    assert_eq!(world.clock.now(), start, "at once");
    for response in responses {
        assert_eq!(code(&response), "upstream_rate_limited");
        assert_eq!(response.headers()["cache-control"], "no-store");
        // Eight seconds and the jitter that keeps clients from retrying at the same time.
        assert!((8..=9).contains(&retry_after(&response)), "{}", retry_after(&response));
        tokio::time::sleep(secs(retry_after(&response))).await;
    }
    assert!(spawn(&world, 5..7).join_all().await.iter().all(|response| response.status() == 200));
}

#[tokio::test(start_paused = true)]
async fn p1_a_request_waits_for_a_permit_up_to_sign_in_wait() {
    let world = crowd(20, secs(8));
    assert!(spawn(&world, 0..5).join_all().await.iter().all(|response| response.status() == 200));
    tokio::time::sleep(secs(3)).await;
    let start = world.clock.now();
    assert!(spawn(&world, 5..10).join_all().await.iter().all(|response| response.status() == 200));
    assert_eq!(world.clock.now() - start, secs(7));
}

#[tokio::test(start_paused = true)]
async fn p1_a_full_queue_is_503_at_once() {
    let world = crowd(1_100, secs(60));
    let hold = world.fake.hold(Endpoint::SignIns);
    let in_flight = spawn(&world, 0..5);
    hold.arrived(5).await;
    let start = world.clock.now();
    let mut waiting = spawn(&world, 5..1_100);
    run_ready_tasks().await;
    let mut rejected = 0;
    while let Some(response) = waiting.try_join_next() {
        let response = response.unwrap();
        assert_eq!(code(&response), "upstream_rate_limited");
        assert!(retry_after(&response) > 1);
        rejected += 1;
    }
    assert_eq!(world.clock.now(), start);
    assert!(rejected >= 1_095 - 1_024, "{rejected} of 1,095 were rejected");
    waiting.shutdown().await;
    hold.release();
    assert!(in_flight.join_all().await.iter().all(|response| response.status() == 200));
}

#[tokio::test(start_paused = true)]
async fn p1_hits_and_mints_never_wait_for_the_budget() {
    let world = crowd(20, secs(60));
    assert_eq!(world.get(JANE).await.status(), 200);
    let waiting = spawn(&world, 0..20);
    run_ready_tasks().await;
    let start = world.clock.now();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    assert_eq!(world.clock.now(), start);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn p1_waiting_for_a_permit_is_outside_the_deadline_of_the_exchange() {
    let world = crowd(20, secs(60));
    assert!(spawn(&world, 0..5).join_all().await.iter().all(|response| response.status() == 200));
    world.fake.script(Endpoint::SignIns, Fault::Delay(secs(4)));
    let start = world.clock.now();
    assert!(spawn(&world, 5..6).join_all().await.iter().all(|response| response.status() == 200));
    assert_eq!(world.clock.now() - start, secs(14));
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_pauses_sign_ins_for_all_users() {
    for (retry_after_of_clerk, pause) in [
        (RetryAfter::Seconds(30), 30),
        (RetryAfter::Date(secs(30)), 30),
        (RetryAfter::Seconds(0), 1),
        (RetryAfter::Seconds(100_000), 300),
        (RetryAfter::Date(secs(86_400)), 300),
    ] {
        let world = World::new();
        let what = format!("{retry_after_of_clerk:?}");
        assert_eq!(world.get(CAROL).await.status(), 200);
        world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: retry_after_of_clerk });
        let response = world.get(JANE).await;
        assert_eq!(code(&response), "upstream_rate_limited", "{what}");
        assert_eq!(retry_after(&response), pause, "{what}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 2);
        assert_eq!(world.get(CAROL).await.status(), 200, "hits are still served");
        if pause > 10 {
            tokio::time::sleep(secs(pause) - secs(15)).await;
            let response = world.get(BOB).await;
            assert_eq!(code(&response), "upstream_rate_limited", "{what}");
            assert!((15..=17).contains(&retry_after(&response)), "{what}: {}", retry_after(&response));
            assert_eq!(world.fake.count(Endpoint::SignIns), 2, "{what}: no sign-in starts during the pause");
            tokio::time::sleep(secs(15)).await;
        } else {
            tokio::time::sleep(secs(pause)).await;
        }
        assert_eq!(world.get(BOB).await.status(), 200, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2_a_request_waits_out_a_short_pause() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: RetryAfter::Seconds(2) });
    assert_eq!(code(&world.get(JANE).await), "upstream_rate_limited");
    let start = world.clock.now();
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.clock.now() - start, secs(2));
}

#[tokio::test(start_paused = true)]
async fn s4_a_429_is_not_remembered_as_a_refusal() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: RetryAfter::Seconds(1) });
    assert_eq!(code(&world.get(JANE).await), "upstream_rate_limited");
    assert_eq!(world.get(JANE).await.status(), 200, "the request waits out the pause of one second");
}

/// A request must not wait for ten seconds only to be rejected.
#[tokio::test(start_paused = true)]
async fn p1_a_permit_at_the_very_end_of_the_wait_is_taken() {
    let world = crowd(6, WINDOW);
    assert!(spawn(&world, 0..5).join_all().await.iter().all(|response| response.status() == 200));
    let start = world.clock.now();
    for response in spawn(&world, 5..6).join_all().await {
        let waited = world.clock.now() - start;
        assert!(response.status() == 200 || waited.is_zero(), "{} after {waited:?}", response.status());
    }
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_for_a_mint_pauses_mints_for_all_users_and_nothing_else() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.script(Endpoint::Tokens, Fault::RateLimited { retry_after: RetryAfter::Seconds(30) });
    assert_eq!(code(&world.get_for(JANE, "acme").await), "upstream_rate_limited");
    let response = world.get_for(JANE, "globex").await;
    assert_eq!((code(&response), retry_after(&response)), ("upstream_rate_limited", 30));
    assert_eq!(world.fake.count(Endpoint::Tokens), 1, "no mint starts during the pause");
    assert_eq!(world.get(BOB).await.status(), 200, "sign-ins are not paused");
    tokio::time::advance(secs(30)).await;
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
}

/// The sixth user's permit is free ten seconds and the duration of an answer later.
#[tokio::test(start_paused = true)]
async fn p1_an_idle_server_signs_in_eight_users_in_a_row() {
    let world = World::new();
    for number in 0..8 {
        world.fake.add_user(FakeUser::new(format!("user-{number}")).password("one for all of them"));
    }
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(100)));
    for number in 0..8 {
        let response = world.get_as(&format!("user-{number}"), "one for all of them").await;
        assert_eq!(response.status(), 200, "the {number}th: {}", code(&response));
    }
    assert_eq!(world.fake.max_in_window(Endpoint::SignIns, WINDOW), 5);
}

#[tokio::test(start_paused = true)]
async fn p1_an_idle_server_accepts_a_burst_of_twice_the_budget() {
    let world = World::new();
    for number in 0..11 {
        world.fake.add_user(FakeUser::new(format!("user-{number}")).password("one for all of them"));
    }
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(100)));
    let start = world.clock.now();
    let mut tasks = spawn(&world, 0..11);
    let mut statuses = Vec::new();
    while let Some(response) = tasks.join_next().await {
        statuses.push(response.unwrap().status().as_u16());
    }
    assert_eq!(
        statuses,
        [503, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200],
        "the 11th is rejected at once"
    );
    assert!(world.clock.now() - start < secs(11));
}
