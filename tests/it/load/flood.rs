//! A flood of made-up credentials hurts nobody who is signed in or was (rules P1, P2, K5, K7, K13).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, builder, code};
use crate::crowd::{Diary, come, live, people};
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

/// Ten new wrong identifiers a second, until an instant.
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
async fn k13_a_flood_keeps_out_nobody_who_is_signed_in_or_was() {
    let world = world(|engine| engine);
    let everybody = people(&world.fake, 30);
    let (steady, returning) = everybody.split_at(20);
    // All come in before it begins, at a pace that the budget allows.
    for person in &everybody {
        assert_eq!(come(&world, person).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    world.fake.clear_log();
    let start = Instant::now();
    let end = start + 3 * TTL;
    let diary = Diary::default();
    let pace = (Duration::from_secs(10), Duration::from_secs(30));
    let tasks = live(&world, steady, pace, Duration::from_millis(100), end, &diary);
    let flood = flood(&world, end);

    // They stay away until their proofs have ended, and come back in the middle of it: one by one, and then together.
    tokio::time::sleep(TTL + MINUTE).await;
    for person in returning {
        let came = Instant::now();
        assert_eq!(come(&world, person).await.status(), 200);
        assert!(came.elapsed() <= WINDOW, "{} waited {:?}", person.name, came.elapsed());
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    tokio::time::sleep_until(start + 2 * TTL + 5 * MINUTE).await;
    let together: Vec<_> = returning[..3]
        .iter()
        .map(|person| {
            let (world, person) = (world.clone(), person.clone());
            tokio::spawn(async move {
                let came = Instant::now();
                (come(&world, &person).await.status().as_u16(), came.elapsed())
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
    assert_eq!(diary.statuses().keys().collect::<Vec<_>>(), [&200], "{:?}", diary.statuses());
    let waited = diary.all().iter().filter(|answer| !answer.took.is_zero()).count();
    // Their tokens of five minutes are renewed on use, and nothing of that waits for the flood.
    assert_eq!(waited, 0, "steady users don't wait either");
    assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
    let stats = world.clerk.stats();
    assert_eq!((stats.sign_in_flights, stats.sign_in_queue), (0, 0));
    // The flood has what the proven leave of the budget, and not more.
    let unproven = stats.count(Outcome::Rejected);
    assert!(unproven <= 2 * 180 + 2, "{unproven} guesses reached Clerk");
    assert!(unproven >= 300, "{unproven} guesses reached Clerk");
}

/// Where the layer can tell sources apart, a flood from one leaves the others their turns.
#[tokio::test(start_paused = true)]
async fn p1_a_flood_from_one_source_leaves_others_their_turns() {
    let world = world(|engine| engine);
    people(&world.fake, 12);
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
        // A newcomer each 12 s, one of whom Clerk knows nothing good yet.
        if count >= 120 && count % 120 == 0 {
            let at = count / 120;
            let came = Instant::now();
            let response =
                request("elsewhere", &format!("user{at}@example.com"), &format!("the password of {at}"))
                    .await;
            assert_eq!(response.status(), 200, "newcomer {at}: {}", code(&response));
            assert!(came.elapsed() <= WINDOW + Duration::from_secs(1), "{:?}", came.elapsed());
        }
    }
    assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
}

#[tokio::test(start_paused = true)]
async fn p2_after_a_429_nobody_signs_in_for_as_long_as_clerk_says() {
    let world = world(|engine| engine.sign_in_wait(Duration::from_secs(5)));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    tokio::time::advance(MINUTE).await;
    world.fake.script(Endpoint::SignIns, Fault::RateLimited { retry_after: RetryAfter::Seconds(7) });
    let response = world.get(BOB).await;
    assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_rate_limited"));
    let start = Instant::now();
    let asked = world.fake.count(Endpoint::SignIns);
    while start.elapsed() < Duration::from_millis(6_900) {
        assert_eq!(world.get(JANE).await.status(), 200, "who is held is unaffected");
        assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
        if start.elapsed() < Duration::from_secs(2) {
            let response = world.get(CAROL).await;
            assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_rate_limited"));
            let told: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            let left = 7.0 - start.elapsed().as_secs_f64();
            assert!(told as f64 >= left && told <= 9, "{told} s where {left} are left");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), asked, "nobody departed");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200, "a 429 is held against nobody");
}

/// Who may wait longer than the pause lasts is not sent away.
#[tokio::test(start_paused = true)]
async fn p2_nobody_waits_through_a_pause_of_seven_seconds() {
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

/// Two engines count apart, so two processes on one address have to divide Clerk's limit.
#[tokio::test(start_paused = true)]
async fn p1_each_engine_has_a_budget_of_its_own() {
    let world = World::with(FakeClerkBuilder::no_rate_limit, |engine| engine);
    let everybody = people(&world.fake, 10);
    let other = builder(&world.fake, world.clock).build().unwrap();
    let (start, other) = (Instant::now(), World { clerk: other, ..world.clone() });
    let (ours, theirs) = everybody.split_at(5);
    for (world, people) in [(&world, ours), (&other, theirs)] {
        for person in people {
            assert_eq!(come(world, person).await.status(), 200);
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "neither engine waits for the other");
}

/// Whoever sends a request chooses its headers.
#[tokio::test(start_paused = true)]
async fn p1_no_header_is_taken_for_a_source_unless_the_layer_names_it() {
    for is_named in [false, true] {
        let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, WINDOW).sign_in_wait(MINUTE));
        people(&world.fake, 4);
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
            crate::common::settle().await;
        }
        assert!(tasks.join_all().await.iter().all(|response| response.status() == 200));
        let asked = world.fake.requests_to(Endpoint::SignIns);
        let order: Vec<_> = asked.iter().filter_map(|request| request.form("identifier")).collect();
        let place = order.iter().position(|name| *name == "user3@example.com");
        assert_eq!(place, Some(if is_named { 2 } else { 3 }), "named: {is_named}, {order:?}");
    }
}
