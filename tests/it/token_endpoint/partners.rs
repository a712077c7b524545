//! A network of partners on one endpoint (rule E4).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::testing::{Endpoint, Fault};

use super::token;
use crate::common::World;
use crate::crowd::add_users;

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: u32 = 60;

/// Each partner asks again after each `Retry-After`, until it has its first token.
async fn cold_start(world: &World, partners: &[(String, String)]) -> (Duration, usize) {
    let (start, refused) = (Instant::now(), Arc::new(Mutex::new(0)));
    let mut tasks = JoinSet::new();
    for (name, password) in partners {
        let (name, password) = (name.clone(), password.clone());
        let (endpoint, refused) = (world.endpoint(), Arc::clone(&refused));
        tasks.spawn(async move {
            loop {
                let answer = token(&endpoint, (&name, &password)).await;
                if answer.status == 200 {
                    return;
                }
                assert_eq!(answer.failure(), (503, "temporarily_unavailable"));
                *refused.lock().unwrap() += 1;
                tokio::time::sleep(Duration::from_secs(answer.field("retry-after").parse().unwrap())).await;
            }
        });
    }
    tasks.join_all().await;
    let refused = *refused.lock().unwrap();
    (start.elapsed(), refused)
}

#[tokio::test(start_paused = true)]
async fn e4_a_hundred_partners_get_a_token_each_minute_without_a_further_sign_in() {
    an_hour_of(100).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "takes minutes: it signs and verifies 60,000 tokens"]
async fn e4_a_thousand_partners_get_a_token_each_minute_without_a_further_sign_in() {
    an_hour_of(1_000).await;
}

/// Partners are let in at the pace of the budget. Then each asks for a token in each minute of an hour, on tokens of 60 s,
/// so that none of them is left when the next one is asked for.
async fn an_hour_of(count: usize) {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(Duration::from_secs(4 * 3600)));
    let users = add_users(&world.fake, count);
    let partners: Vec<_> = users.into_iter().map(|user| (user.name, user.password)).collect();
    world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(400)));
    world.fake.script_always(Endpoint::Tokens, Fault::Delay(Duration::from_millis(50)));
    let real = std::time::Instant::now();
    let (took, refused) = cold_start(&world, &partners).await;
    println!(
        "cold start of {count} partners: {took:?}, with {refused} answers of 503; {:?} of real time",
        real.elapsed()
    );
    assert_eq!(world.fake.count(Endpoint::SignIns), count);
    assert!(world.fake.max_in_window(Endpoint::SignIns, Duration::from_secs(10)) <= 5);
    // Five in ten seconds, a tenth more, and a last `Retry-After`.
    assert!(took <= Duration::from_secs(2 * count as u64 * 11 / 10) + MINUTE, "{took:?}");

    world.fake.clear_log();
    let (least, slowest) = (Arc::new(Mutex::new(u64::MAX)), Arc::new(Mutex::new(Duration::ZERO)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for (at, (name, password)) in partners.into_iter().enumerate() {
        let (world, least, slowest) = (world.clone(), Arc::clone(&least), Arc::clone(&slowest));
        tasks.spawn(async move {
            let endpoint = world.endpoint();
            for minute in 0..MINUTES {
                tokio::time::sleep_until(start + MINUTE * minute + MINUTE * at as u32 / count as u32).await;
                let asked = Instant::now();
                let answer = token(&endpoint, (&name, &password)).await;
                let claims = answer.claims();
                let of = |name: &str| claims[name].as_u64().unwrap();
                let left = of("exp") - world.clock.unix();
                assert!(2 * left >= of("exp") - of("iat"), "{left} s left of {claims}");
                assert!(answer.expires_in() <= left);
                let mut least = least.lock().unwrap();
                *least = (*least).min(answer.expires_in());
                let mut slowest = slowest.lock().unwrap();
                *slowest = (*slowest).max(asked.elapsed());
            }
        });
    }
    tasks.join_all().await;
    let mints = world.fake.count(Endpoint::Tokens);
    println!(
        "{count} partners, a token each minute for {MINUTES} min: {mints} mints, at least {} s left, {:?} at most; \
         {:?} of real time",
        least.lock().unwrap(),
        slowest.lock().unwrap(),
        real.elapsed()
    );
    assert_eq!(world.fake.count(Endpoint::SignIns), 0, "no further sign-in");
    assert!(mints <= count * MINUTES as usize);
    assert_eq!(world.fake.live_sessions(), count);
}
