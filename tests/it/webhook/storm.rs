//! Ten thousand deliveries in a minute, none of which concerns a user of this process (rule W6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser, Fault};

use super::SECOND;
use super::app::{Accepts, App, Provider};
use crate::common::authorization;

const DELIVERIES: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
const CACHED: usize = 20;
const MOST_SIGN_INS: usize = 400;
const PASSWORD: &str = "the same for all of them";

/// Makes one change of a stranger at Clerk, which sends one event.
fn change_stranger(fake: &FakeClerk, at: usize) {
    let user = format!("stranger{}@example.com", at / 8);
    match at % 8 {
        0 => _ = fake.add_user(FakeUser::new(&user).password(PASSWORD)),
        1 => fake.ban(&user),
        2 => fake.unban(&user),
        3 => fake.set_password(&user, "another password"),
        4 => fake.add_member(&user, "globex", "org:member"),
        5 => fake.remove_member(&user, "globex"),
        6 => {
            let session = json!({ "object": "session", "id": format!("sess_{at}") });
            fake.send_webhook("session.revoked", session);
        }
        _ => fake.delete_user(&user),
    }
}

/// Spreads the changes over a minute.
async fn storm(fake: FakeClerk) {
    let mut ticks = tokio::time::interval(MINUTE / DELIVERIES as u32);
    for at in 0..DELIVERIES {
        ticks.tick().await;
        change_stranger(&fake, at);
    }
    fake.settle_webhooks().await;
}

/// The requests of cached users: path and field `Authorization`. Every second one is for an organization, and every second
/// of these pairs is a browser's session token where the app accepts one.
async fn cached(app: &App, accepts: Accepts) -> Vec<(&'static str, String)> {
    let fake = &app.world.fake;
    let mut requests = Vec::new();
    let user = |at: usize| format!("user{at}@example.com");
    for at in 0..CACHED {
        fake.add_user(FakeUser::new(user(at)).password(PASSWORD));
        fake.add_member(&user(at), "acme", "org:member");
    }
    // Each `user.updated` tells when the password was set, and a token tells its own time in whole seconds only: the engine
    // refuses one that may be older than the password.
    tokio::time::sleep(10 * SECOND).await;
    for at in 0..CACHED {
        let user = user(at);
        let (path, organization) = if at % 2 == 0 { ("/me", None) } else { ("/orgs/acme/me", Some("acme")) };
        let field = if accepts == Accepts::BasicAndBearer && at % 4 > 1 {
            let token = fake.token(&fake.open_session(&user)).claim("iss", app.issuer()).life(10 * MINUTE);
            let token = organization.into_iter().fold(token, |token, it| token.organization(it));
            format!("Bearer {}", token.sign())
        } else {
            authorization((&user, PASSWORD))
        };
        requests.push((path, field));
    }
    for (path, field) in &requests {
        let answer = app.ask_with(path, field).await;
        assert!(["personal", "org:member"].contains(&&*answer), "{answer}");
    }
    requests
}

/// Users who were added some seconds ago sign in, four in a second, until `stop`. Returns how many.
async fn sign_ins(app: Arc<App>, names: &'static str, stop: Arc<AtomicBool>) -> usize {
    let user = |at: usize| format!("{names}{at}@example.com");
    for at in 0..MOST_SIGN_INS {
        app.world.fake.add_user(FakeUser::new(user(at)).password(PASSWORD));
    }
    tokio::time::sleep(3 * SECOND).await;
    let (mut under_way, mut count) = (JoinSet::new(), 0);
    let mut ticks = tokio::time::interval(SECOND / 4);
    while count < MOST_SIGN_INS && !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let user = user(count);
        let app = Arc::clone(&app);
        under_way.spawn(async move { app.ask_with("/me", &authorization((&user, PASSWORD))).await });
        count += 1;
    }
    while let Some(answer) = under_way.join_next().await {
        assert_eq!(answer.unwrap(), "personal");
    }
    count
}

/// Each cached user sends requests at this pace until `stop`. Returns the time that each answer took.
async fn hits(
    app: Arc<App>,
    requests: Vec<(&'static str, String)>,
    pace: Duration,
    stop: Arc<AtomicBool>,
) -> Vec<Duration> {
    let mut users = JoinSet::new();
    for (at, (path, field)) in requests.into_iter().enumerate() {
        let (app, stop) = (Arc::clone(&app), Arc::clone(&stop));
        users.spawn(async move {
            let mut took = Vec::new();
            let mut ticks = tokio::time::interval_at(Instant::now() + pace * at as u32 / CACHED as u32, pace);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                let began = Instant::now();
                let answer = app.ask_with(path, &field).await;
                took.push(began.elapsed());
                assert!(["personal", "org:member"].contains(&&*answer), "{answer}");
            }
            took
        });
    }
    users.join_all().await.concat()
}

/// The calls by which passwords are proven and sessions opened, which each sign-in makes once.
fn proofs(app: &App, provider: Provider) -> [usize; 2] {
    let [proofs, sign_ins, _] = app.cost();
    match provider {
        Provider::Frontend => [sign_ins; 2],
        Provider::Backend => [proofs, sign_ins],
    }
}

#[tokio::test(start_paused = true)]
async fn w6_ten_thousand_deliveries_for_strangers_let_no_user_wait_and_void_no_sign_in() {
    for (provider, accepts) in
        [(Provider::Frontend, Accepts::Basic), (Provider::Backend, Accepts::BasicAndBearer)]
    {
        let app = Arc::new(App::in_process(provider, accepts));
        let requests = cached(&app, accepts).await;
        app.settle().await;
        let fake = &app.world.fake;
        // A sign-in takes a second, and so does a mint: some of each are under way throughout.
        for endpoint in [Endpoint::SignIns, Endpoint::Tokens, Endpoint::Touch, Endpoint::BackendTokens] {
            fake.script_always(endpoint, Fault::DelayAnswer(SECOND));
        }
        fake.clear_log();
        let stop = Arc::new(AtomicBool::new(false));
        let hits = tokio::spawn(hits(Arc::clone(&app), requests, SECOND, Arc::clone(&stop)));
        let sign_ins = tokio::spawn(sign_ins(Arc::clone(&app), "new", Arc::clone(&stop)));
        storm(fake.clone()).await;
        stop.store(true, Ordering::Relaxed);
        let (hits, sign_ins) = (hits.await.unwrap(), sign_ins.await.unwrap());
        app.settle().await;
        let name = format!("{provider:?}, {accepts:?}");
        assert!(hits.len() > 1_000 && sign_ins > 200, "{name}: {} hits, {sign_ins} sign-ins", hits.len());
        assert_eq!(hits.iter().max(), Some(&Duration::ZERO), "{name}: no user waits");
        assert_eq!(
            proofs(&app, provider),
            [sign_ins; 2],
            "{name}: each sign-in is made once, and none again"
        );
        assert!(fake.deliveries().len() >= DELIVERIES, "{name}");
    }
}

fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

/// `cargo test --release --all-features --test it storm -- --ignored --nocapture`, on a quiet machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for minutes, on a machine that does nothing else"]
async fn w6_the_p99_of_hits_on_a_socket_stays_within_twice_of_quiet_in_a_storm() {
    for (provider, accepts) in [
        (Provider::Frontend, Accepts::Basic),
        (Provider::Frontend, Accepts::BasicAndBearer),
        (Provider::Backend, Accepts::BasicAndBearer),
    ] {
        let app = Arc::new(App::on_sockets(provider, accepts).await);
        let requests = cached(&app, accepts).await;
        app.settle().await;
        let mut p99 = Vec::new();
        for phase in ["quiet", "storm"] {
            app.world.fake.clear_log();
            let before = app.world.fake.deliveries().len();
            let stop = Arc::new(AtomicBool::new(false));
            let pace = SECOND * CACHED as u32 / 1_000;
            let hits = tokio::spawn(hits(Arc::clone(&app), requests.clone(), pace, Arc::clone(&stop)));
            let sign_ins = tokio::spawn(sign_ins(Arc::clone(&app), phase, Arc::clone(&stop)));
            let began = Instant::now();
            if phase == "storm" {
                storm(app.world.fake.clone()).await;
            } else {
                tokio::time::sleep(MINUTE).await;
            }
            let took = began.elapsed();
            stop.store(true, Ordering::Relaxed);
            let (mut hits, sign_ins) = (hits.await.unwrap(), sign_ins.await.unwrap());
            app.settle().await;
            let of_hits = [0.5, 0.99, 0.999, 1.0].map(|part| quantile(&mut hits, part));
            println!(
                "{provider:?}, {accepts:?}, {phase}: {} hits, {sign_ins} sign-ins and {} deliveries in {took:.1?}; p50, p99, \
                 p99.9 and the longest of the hits {of_hits:.1?}",
                hits.len(),
                app.world.fake.deliveries().len() - before,
            );
            assert_eq!(proofs(&app, provider), [sign_ins; 2], "none signs in again");
            p99.push(of_hits[1]);
        }
        println!(
            "{provider:?}, {accepts:?}: p99 {:.2} times that of quiet",
            p99[1].as_secs_f64() / p99[0].as_secs_f64()
        );
        assert!(p99[1] <= 2 * p99[0], "{p99:?}");
    }
}
