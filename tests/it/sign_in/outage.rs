//! Clerk is down for ten minutes, and recovers (rules S4, K4, P4).

use std::time::Duration;

use crate::common::{World, code};
use crate::crowd::{AnswerLog, add_users, request_as, run_users};
use tokio::time::Instant;
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, FakeUser, Fault};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(15 * 60);
const USERS: usize = 40;

/// Runs the users for 45 min, with an outage from minute 20 to minute 30.
async fn outage(fault: Fault, token_life: Duration) {
    let what = format!("{fault:?}");
    let world = World::with(|fake| fake.token_life(token_life), |engine| engine.session_ttl(TTL));
    let users = add_users(&world.fake, USERS);
    let (start, log) = (Instant::now(), AnswerLog::default());
    let end = start + 45 * MINUTE;
    let pace = (3 * SECOND, 6 * SECOND);
    let tasks = run_users(&world, &users, pace, Duration::from_millis(2_200), end, &log);

    let (from, to) = (start + 20 * MINUTE, start + 30 * MINUTE);
    tokio::time::sleep_until(from).await;
    for endpoint in [Endpoint::SignIns, Endpoint::Tokens, Endpoint::Touch, Endpoint::Jwks, Endpoint::End] {
        world.fake.script_always(endpoint, fault.clone());
    }
    world.fake.clear_log();
    // New users arrive throughout the outage, and each of them is answered 503.
    for at in 0..100 {
        let name = format!("newcomer{at}@example.com");
        world.fake.add_user(FakeUser::new(&name).password("the password of a newcomer"));
        let user = crate::crowd::User {
            name,
            password: "the password of a newcomer".to_owned(),
            organization: None,
        };
        let world = world.clone();
        tokio::spawn(async move {
            let response = request_as(&world, &user).await;
            assert_eq!(response.status(), 503, "{}", code(&response));
            assert!(response.headers().contains_key("retry-after"));
        });
        tokio::time::sleep(5 * SECOND).await;
    }
    tokio::time::sleep_until(to - SECOND).await;
    let stats = world.clerk.stats();
    assert_eq!(
        (stats.sign_in_circuit, stats.mint_circuit),
        (CircuitState::Open, CircuitState::Open),
        "{what}"
    );
    // Only the failures that open the circuits and then the probes reach Clerk, not each request.
    let (sign_ins, tokens) = (world.fake.count(Endpoint::SignIns), world.fake.count(Endpoint::Tokens));
    let asked = format!("{what}: {sign_ins} sign-ins and {tokens} mints in an outage of 10 min");
    assert!(sign_ins <= 150 && tokens <= 250, "{asked}");
    tokio::time::sleep_until(to).await;
    for endpoint in [Endpoint::SignIns, Endpoint::Tokens, Endpoint::Touch, Endpoint::Jwks, Endpoint::End] {
        world.fake.clear_script(endpoint);
    }
    world.fake.clear_log();
    tokio::time::sleep(30 * SECOND).await;
    // Each user's token is minted about once, and sign-ins stay within their budget.
    let tokens = world.fake.count(Endpoint::Tokens);
    assert!(tokens <= 2 * USERS, "{what}: {tokens} mints in the first 30 s");
    tokio::time::sleep(4 * MINUTE).await;
    assert!(world.fake.max_in_window(Endpoint::SignIns, 10 * SECOND) <= 5, "{what}");
    let stats = world.clerk.stats();
    assert_eq!((stats.sign_in_circuit, stats.mint_circuit), (CircuitState::Closed, CircuitState::Closed));
    tasks.join_all().await;

    let answers = log.all();
    let count = |from: Instant, to: Instant, status: u16| {
        answers.iter().filter(|it| it.known && it.at >= from && it.at < to && it.status == status).count()
    };
    assert!(!answers.iter().any(|answer| answer.status == 401), "{what}: {:?}", log.statuses());
    assert_eq!(count(start, from, 503), 0, "{what}");
    // A token that was just renewed serves until it has 10 s or a fifth of its life left, whichever is less.
    let serves = token_life - (10 * SECOND).min(token_life / 5);
    // A request that waits for a permit may be answered after the outage.
    let hits = answers.iter().filter(|it| it.at >= from && it.at + it.took < to && it.status == 200);
    let last_hit = hits.map(|it| it.at - from).max().unwrap();
    assert!(last_hit <= serves && last_hit >= serves / 4, "{what}: hits went on for {last_hit:?}");
    assert!(count(from, from + 5 * SECOND, 503) <= USERS / 4, "{what}: tokens serve to their end");
    // All users are served again once the circuits have probed and the budget has caught up.
    assert_eq!(count(to + 5 * MINUTE, end, 503), 0, "{what}");
    let back =
        answers.iter().filter(|it| it.known && it.at >= to && it.status == 503).map(|it| it.at - to).max();
    println!("{asked}; hits went on for {last_hit:?}; the last 503 came {back:?} after the outage");
    assert_eq!(world.clerk.stats().total(), answers.len() as u64 + 100, "{what}");
}

#[tokio::test(start_paused = true)]
async fn p4_a_clerk_that_refuses_connections_for_ten_minutes() {
    outage(Fault::Refused, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn p4_a_clerk_that_answers_503_for_ten_minutes() {
    outage(Fault::Status(503), MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn p4_a_clerk_that_hangs_for_ten_minutes() {
    outage(Fault::Hang, MINUTE).await;
}

/// Ten-minute tokens serve most users through the outage.
#[tokio::test(start_paused = true)]
async fn p4_long_tokens_serve_through_most_of_an_outage() {
    outage(Fault::Status(503), 10 * MINUTE).await;
}
