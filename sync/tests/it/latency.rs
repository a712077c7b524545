//! The time from `POST` to 204, measured by hand:
//! `cargo test --release --package tower-clerk-sync --all-features --test it latency -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fake_clerk::{FakeClerk, FakeUser, WebhookEndpoint};
use http::StatusCode;
use tokio::sync::mpsc;
use tower_clerk::testing;
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
use tower_clerk_sync::Mirror;

use crate::support::{Database, Server};
use crate::world::{SECRET, post, secret};

const RATE: u32 = 1000;
const SECONDS: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which needs a quiet machine"]
async fn y3_latency_of_a_thousand_events_a_second() {
    if let Some(server) = Server::start("") {
        let url = server.create_database().await;
        let p99 = measure("PostgreSQL", &url).await;
        assert!(p99 <= Duration::from_millis(50), "{p99:?}");
    }
    measure("SQLite", &Database::sqlite().url).await;
}

/// Sends events at a fixed rate, whether those before are answered or not, and returns the 99th percentile.
async fn measure(name: &str, url: &str) -> Duration {
    let fake = FakeClerk::builder().empty().no_rate_limit().build();
    let mirror = Mirror::builder(url).max_connections(20).connect().await.unwrap();
    let clerk = testing::unlimited_builder(&fake).build().unwrap();
    let service =
        ClerkWebhookService::new(clerk, WebhookSecrets::parse(SECRET).unwrap()).sink(mirror.clone());
    let users: Vec<String> =
        (0..1000).map(|number| fake.add_user(FakeUser::new(format!("user{number}@example.com")))).collect();
    let (times, mut measured) = mpsc::unbounded_channel();
    let service = Arc::new(service);
    fake.add_webhook(WebhookEndpoint::in_process(secret(), move |request| {
        let (service, times) = (Arc::clone(&service), times.clone());
        async move {
            let began = Instant::now();
            let status = post(&service, request).await;
            let _ = times.send((began.elapsed(), status));
            status
        }
    }));
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let began = Instant::now();
    for at in 0..RATE * SECONDS {
        tick.tick().await;
        let user = &users[at as usize % users.len()];
        match at as usize / users.len() % 2 {
            0 => fake.ban(user),
            _ => fake.unban(user),
        }
    }
    let sent = began.elapsed();
    let (mut all, mut refused) = (Vec::new(), 0);
    for _ in 0..RATE * SECONDS {
        let (time, status) = measured.recv().await.unwrap();
        all.push(time);
        refused += usize::from(status != StatusCode::NO_CONTENT);
    }
    all.sort();
    let at = |percent: usize| all[(all.len() - 1) * percent / 100];
    println!(
        "{name}: {} events in {sent:.1?}, {refused} refused: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
        all.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    println!("{name}: {:?}", mirror.status().await.unwrap());
    at(99)
}
