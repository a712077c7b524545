//! A flood of made-up credentials affects no user who has signed in before (rules P1, P2, K13).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, builder, code};
use crate::crowd::{AnswerLog, add_users, request_as, run_users};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::ClerkBuilder;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault, RetryAfter};

const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(10 * 60);
const WINDOW: Duration = Duration::from_secs(10);

fn world(engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder) -> World {
    let world = World::with(
        |fake| fake.token_life(Duration::from_secs(300)),
        |builder| engine(builder.session_ttl(TTL)),
    );
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(300)));
    world
}

/// Sends ten requests with new made-up credentials per second until `until`, and returns their number.
fn flood(world: &World, until: Instant) -> tokio::task::JoinHandle<u32> {
    let world = world.clone();
    tokio::spawn(async move {
        let mut count = 0;
        while Instant::now() < until {
            let layer = world.layer();
            let name = format!("nobody{count}@example.com");
            tokio::spawn(async move {
                let response = ask(&layer, basic((&name, "a guess"))).await;
                assert!([401, 503].contains(&response.status().as_u16()), "{:?}", response.status());
            });
            count += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        count
    })
}

#[tokio::test(start_paused = true)]
async fn k13_a_flood_does_not_lock_out_known_users() {
    let world = world(|engine| engine);
    let users = add_users(&world.fake, 30);
    let (steady, returning) = users.split_at(20);
    // All users sign in before the flood, at a pace that the budget allows.
    for user in &users {
        assert_eq!(request_as(&world, user).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    world.fake.clear_log();
    let start = Instant::now();
    let end = start + 3 * TTL;
    let log = AnswerLog::default();
    let pace = (Duration::from_secs(10), Duration::from_secs(30));
    let tasks = run_users(&world, steady, pace, Duration::from_millis(100), end, &log);
    let flood = flood(&world, end);

    // The returning users send no request until their proofs have expired, and return during the flood: first one by
    // one, then together.
    tokio::time::sleep(TTL + MINUTE).await;
    for user in returning {
        let start = Instant::now();
        assert_eq!(request_as(&world, user).await.status(), 200);
        assert!(start.elapsed() <= WINDOW, "{} waited {:?}", user.name, start.elapsed());
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    tokio::time::sleep_until(start + 2 * TTL + 5 * MINUTE).await;
    let together: Vec<_> = returning[..3]
        .iter()
        .map(|user| {
            let (world, user) = (world.clone(), user.clone());
            tokio::spawn(async move {
                let start = Instant::now();
                (request_as(&world, &user).await.status().as_u16(), start.elapsed())
            })
        })
        .collect();
    for task in together {
        let (status, took) = task.await.unwrap();
        assert!(status == 200 && took <= WINDOW, "{status} after {took:?}");
    }
    tasks.join_all().await;
    let guesses = flood.await.unwrap();
    tokio::time::sleep(MINUTE).await;

    assert!(guesses > 17_000, "{guesses}");
    assert_eq!(log.statuses().keys().collect::<Vec<_>>(), [&200], "{:?}", log.statuses());
    let waited = log.all().iter().filter(|answer| !answer.took.is_zero()).count();
    // Their five-minute tokens are renewed on use, and the flood does not delay the renewals.
    assert_eq!(waited, 0, "steady users never wait");
    assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
    let stats = world.clerk.stats();
    assert_eq!((stats.sign_in_flights, stats.sign_in_queue), (0, 0));
    // The flood gets the permits that trusted credentials leave, and no more.
    let unproven = stats.count(Outcome::Rejected);
    assert!(unproven <= 2 * 180 + 2, "{unproven} guesses reached Clerk");
    assert!(unproven >= 300, "{unproven} guesses reached Clerk");
}

/// If the layer distinguishes sources, a flood from one source leaves permits for the others.
#[tokio::test(start_paused = true)]
async fn p1_a_flood_from_one_source_leaves_permits_for_others() {
    let world = world(|engine| engine);
    add_users(&world.fake, 12);
    let layer =
        world.layer().source_key(|parts| parts.headers.get("x-from").map(|from| from.as_bytes().to_vec()));
    let request = |from: &'static str, name: &str, password: &str| {
        let mut request = basic((name, password));
        request.headers_mut().insert("x-from", from.parse().unwrap());
        let layer = layer.clone();
        async move { ask(&layer, request).await }
    };
    for count in 0..600_u32 {
        tokio::spawn(request("attacker", &format!("nobody{count}@example.com"), "a guess"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Every 12 s a user signs in for the first time, without a trusted credential.
        if count >= 120 && count % 120 == 0 {
            let at = count / 120;
            let start = Instant::now();
            let response =
                request("elsewhere", &format!("user{at}@example.com"), &format!("the password of {at}"))
                    .await;
            assert_eq!(response.status(), 200, "newcomer {at}: {}", code(&response));
            assert!(start.elapsed() <= WINDOW + Duration::from_secs(1), "{:?}", start.elapsed());
        }
    }
    assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_pauses_sign_ins_for_its_retry_after() {
    let world = world(|engine| engine.sign_in_wait(Duration::from_secs(5)));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    tokio::time::advance(MINUTE).await;
    world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: RetryAfter::Seconds(7) });
    let response = world.get(BOB).await;
    assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_rate_limited"));
    let start = Instant::now();
    let sign_ins = world.fake.count(Endpoint::SignIns);
    while start.elapsed() < Duration::from_millis(6_900) {
        assert_eq!(world.get(JANE).await.status(), 200, "a user with a session is unaffected");
        assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
        if start.elapsed() < Duration::from_secs(2) {
            let response = world.get(CAROL).await;
            assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_rate_limited"));
            let retry_after: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            let left = 7.0 - start.elapsed().as_secs_f64();
            assert!(retry_after as f64 >= left && retry_after <= 9, "{retry_after} s instead of {left} s");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins, "no sign-in started");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200, "a 429 does not count as a failure of the user");
}

/// Requests wait through pauses of up to 2 s only, although the sign-in wait is 15 s.
#[tokio::test(start_paused = true)]
async fn p2_a_pause_of_seven_seconds_rejects_at_once() {
    let world = world(|engine| engine);
    world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: RetryAfter::Seconds(7) });
    assert_eq!(world.get(BOB).await.status(), 503);
    let start = Instant::now();
    let response = world.get(CAROL).await;
    assert_eq!((response.status().as_u16(), start.elapsed()), (503, Duration::ZERO));
    assert!(response.headers().contains_key("retry-after"));
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(world.get(CAROL).await.status(), 200);
}

/// Engines count separately, so processes that share an IP address have to divide Clerk's limit between them.
#[tokio::test(start_paused = true)]
async fn p1_each_engine_has_a_budget_of_its_own() {
    let world = World::with(FakeClerkBuilder::no_rate_limit, |engine| engine);
    let users = add_users(&world.fake, 10);
    let other = builder(&world.fake, world.clock).build().unwrap();
    let (start, other) = (Instant::now(), World { clerk: other, ..world.clone() });
    let (ours, theirs) = users.split_at(5);
    for (world, users) in [(&world, ours), (&other, theirs)] {
        for user in users {
            assert_eq!(request_as(world, user).await.status(), 200);
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "neither engine waits for the other");
}

/// A client chooses its headers, and could otherwise pose as many sources.
#[tokio::test(start_paused = true)]
async fn p1_no_header_is_a_source_unless_the_layer_names_it() {
    for is_named in [false, true] {
        let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, WINDOW).sign_in_wait(MINUTE));
        add_users(&world.fake, 4);
        let mut layer = world.layer();
        if is_named {
            let name = "x-forwarded-for";
            layer = layer.source_key(move |it| it.headers.get(name).map(|from| from.as_bytes().to_vec()));
        }
        let mut tasks = JoinSet::new();
        for (at, from) in ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"].into_iter().enumerate() {
            let name = format!("user{at}@example.com");
            let mut request = basic((&name, &format!("the password of {at}")));
            request.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
            let layer = layer.clone();
            tasks.spawn(async move { ask(&layer, request).await });
            crate::common::run_ready_tasks().await;
        }
        assert!(tasks.join_all().await.iter().all(|response| response.status() == 200));
        let sign_ins = world.fake.requests_to(Endpoint::SignIns);
        let order: Vec<_> = sign_ins.iter().filter_map(|request| request.form("identifier")).collect();
        let position = order.iter().position(|name| *name == "user3@example.com");
        assert_eq!(position, Some(if is_named { 2 } else { 3 }), "named: {is_named}, {order:?}");
    }
}
