//! A flood of made-up keys (rules T5, K7, P1).

use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::testing::{Endpoint, Fault};
use tower_clerk::{ApiKeys, ClerkBasicAuthLayer};

use super::{MINUTE, SECOND, TOKEN, accepting, calls, secret_of, verifications};
use crate::common::{JANE, World, ask, authorization, basic, in_time, me};

/// Made-up keys per second: 100,000 in a minute.
const PER_SECOND: u32 = 1_667;

/// The source of a request, in a header field that only this test trusts.
fn source(parts: &http::request::Parts) -> Option<u64> {
    parts.headers.get("x-source")?.to_str().ok()?.parse().ok()
}

fn fair(world: &World) -> ClerkBasicAuthLayer {
    world.layer().source_key(source).accept_api_keys(ApiKeys::new()).unwrap()
}

fn request(source: u64, secret: &str) -> Request<()> {
    Request::get("/me")
        .header("authorization", authorization((TOKEN, secret)))
        .header("x-source", source)
        .body(())
        .unwrap()
}

async fn from(layer: &ClerkBasicAuthLayer, source: u64, secret: &str) -> (u16, Duration) {
    let start = Instant::now();
    let response = in_time(layer.layer(service_fn(me)).oneshot(request(source, secret))).await.unwrap();
    (response.status().as_u16(), start.elapsed())
}

fn made_up(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap() * PER_SECOND as usize
}

/// Sends made-up keys from twenty sources, evenly over this time.
fn flood(layer: &ClerkBasicAuthLayer, time: Duration) -> tokio::task::JoinHandle<[usize; 2]> {
    let layer = layer.clone();
    tokio::spawn(async move {
        let mut requests = tokio::task::JoinSet::new();
        let start = Instant::now();
        for number in 0..made_up(time) {
            if number % 100 == 0 {
                tokio::time::sleep_until(start + SECOND * u32::try_from(number).unwrap() / PER_SECOND).await;
            }
            let service = layer.layer(service_fn(me));
            let request = request(number as u64 % 20, &format!("ak_made-up-{number}"));
            requests.spawn(async move { service.oneshot(request).await.unwrap().status().as_u16() });
        }
        let mut answers = [0; 2];
        while let Some(answer) = requests.join_next().await {
            answers[usize::from(answer.unwrap() == 503)] += 1;
        }
        answers
    })
}

#[tokio::test(start_paused = true)]
async fn t5_made_up_keys_keep_out_no_proven_key_and_no_user() {
    let world = World::backend();
    world.fake.script_always(Endpoint::VerifyApiKey, Fault::DelayAnswer(Duration::from_millis(100)));
    let (layer, jane) = (fair(&world), secret_of(&world, "jane"));
    assert_eq!(from(&layer, 100, &jane).await.0, 200);
    tokio::time::sleep(5 * MINUTE).await;
    let running = start(&world, &layer, MINUTE);
    tokio::time::sleep(20 * SECOND).await;
    // A proven key goes first, though its verification is no longer held.
    let (status, took) = from(&layer, 100, &jane).await;
    assert!(status == 200 && took < SECOND, "{status} after {took:?}");
    println!("a proven key was verified after {took:?}");
    assert_is_open(&world, &layer, "acme").await;
    finish(&world, running).await;
}

/// A restart forgets which keys are proven, and keeps no key from its turn.
#[tokio::test(start_paused = true)]
async fn t5_made_up_keys_keep_out_no_user_and_no_other_source_after_a_restart() {
    let world = World::backend();
    world.fake.script_always(Endpoint::VerifyApiKey, Fault::DelayAnswer(Duration::from_millis(100)));
    let layer = fair(&world);
    let running = start(&world, &layer, 15 * SECOND);
    tokio::time::sleep(5 * SECOND).await;
    assert_is_open(&world, &layer, "jane").await;
    finish(&world, running).await;
}

struct Running {
    flood: tokio::task::JoinHandle<[usize; 2]>,
    time: Duration,
    since: Instant,
}

fn start(world: &World, layer: &ClerkBasicAuthLayer, time: Duration) -> Running {
    world.fake.clear_log();
    Running { flood: flood(layer, time), time, since: Instant::now() }
}

/// A user with a password and a key from a source of its own are let in.
async fn assert_is_open(world: &World, layer: &ClerkBasicAuthLayer, owner: &str) {
    let start = Instant::now();
    assert_eq!(ask(&accepting(world), basic(JANE)).await.status(), 200);
    println!("a user with a password was let in after {:?}", start.elapsed());
    let (status, took) = from(layer, 101, &secret_of(world, owner)).await;
    assert!(status == 200 && took < 10 * SECOND, "{status} after {took:?}");
    println!("a key that was never seen, from a source of its own, was let in after {took:?}");
}

async fn finish(world: &World, running: Running) {
    let stats = world.clerk.stats();
    assert!(stats.api_key_queue <= 1024 && stats.api_key_flights <= 1100, "{stats:?}");
    println!("under way at a time: {} flights, {} in the queue", stats.api_key_flights, stats.api_key_queue);
    let made_up = made_up(running.time);
    let [refused, no_turn] = running.flood.await.unwrap();
    let seconds = running.since.elapsed().as_secs() as usize;
    println!("of {made_up} made-up keys, {refused} were refused and {no_turn} had no turn");
    println!("{} verifications and {} calls in {seconds} s", verifications(world), calls(world));
    assert_eq!(refused + no_turn, made_up);
    assert!(verifications(world) <= 5 * seconds + 10, "{}", verifications(world));
    assert!(
        world.fake.max_in_window(Endpoint::VerifyApiKey, SECOND) <= 7,
        "five in a second, and the proven ones"
    );
    assert!(world.fake.max_in_window(Endpoint::Backend, 10 * SECOND) <= 80);
    let stats = world.clerk.stats();
    assert!(stats.api_key_denials <= 10_000 && stats.verified_api_keys <= 2, "{stats:?}");
    assert_eq!((stats.api_key_queue, stats.api_key_flights), (0, 0));
}
