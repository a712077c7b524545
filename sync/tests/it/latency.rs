//! The time from `POST` to 204, measured by hand:
//! `cargo test --release --package tower-clerk-sync --all-features --test it latency -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use fake_clerk::{FakeClerk, FakeUser};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tower_clerk_sync::Mirror;

use crate::support::{Database, Server};
use crate::world::{SECRET, World, post};

const RATE: u32 = 1000;
const SECONDS: u32 = 20;
const USERS: u32 = 5000;

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
    let mirror = Mirror::builder(url).max_connections(20).connect().await.unwrap();
    let World { service, mirror, .. } = World::of(FakeClerk::new(), mirror);
    let (event, mut tasks) = (template(), JoinSet::new());
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    for at in 0..RATE * SECONDS {
        tick.tick().await;
        let (service, request) = (Arc::clone(&service), request(&event, at));
        tasks.spawn(async move {
            let began = Instant::now();
            let status = post(&service, request).await;
            (began.elapsed(), status)
        });
    }
    let sent = began.elapsed();
    let answers = tasks.join_all().await;
    let refused = answers.iter().filter(|(_, status)| *status != StatusCode::NO_CONTENT).count();
    let mut times: Vec<Duration> = answers.into_iter().map(|(time, _)| time).collect();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{name}: {} events in {sent:.1?}, {refused} refused: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
        times.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    println!("{name}: {:?}", mirror.status().await.unwrap());
    at(99)
}

/// An event of the stand-in's.
fn template() -> Value {
    let fake = FakeClerk::builder().empty().build();
    fake.add_webhook(fake_clerk::WebhookEndpoint::in_process(crate::world::secret(), |_| async {
        StatusCode::OK
    }));
    fake.hold_webhooks();
    fake.add_user(FakeUser::new("jane@example.com").name("Jane", "Doe"));
    serde_json::from_slice(fake.deliveries()[0].body()).unwrap()
}

/// The signed event of one of several users, who gets another name.
fn request(event: &Value, at: u32) -> Request<Bytes> {
    let mut event = event.clone();
    let data = &mut event["data"];
    data["id"] = json!(format!("user_{:027}", at % USERS));
    data["first_name"] = json!(format!("Jane {at}"));
    data["updated_at"] = json!(data["updated_at"].as_i64().unwrap() + i64::from(at));
    let (id, body) = (format!("msg_{at}"), event.to_string());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let key = BASE64_STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes()));
    Request::post("/webhooks")
        .header("svix-id", id)
        .header("svix-timestamp", now)
        .header("svix-signature", format!("v1,{signature}"))
        .body(Bytes::from(body))
        .unwrap()
}
