//! Simulates thousands of users on the Backend API, on a simulated clock. Checks that a service stays within both of
//! Clerk's rate limits, through a restart and with tokens of one minute.
//!
//! `cargo run --release --package tower-clerk-benches --features driven-clock --bin life_backend`. Exits with code 1 if
//! a promise is broken. `… --bin life_backend restart` and `… busy` run one of the two parts.
//!
//! - *restart*: 2,000 users for six hours. The engine is killed halfway, and another one continues with its store.
//! - *busy*: 3,000 concurrent users with tokens of one minute, all minted with the secret key, after a start with a
//!   store.

mod labels;
mod promises;
mod users;
mod watch;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use self::labels::Labels;
use self::promises::Promises;
use self::users::{Load, Users};
use self::watch::{Watched, line, watch};
use self::world::World;

const PASSWORD: &str = "the same for all of them";
const SECRET_KEY: &str = "sk_live_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP";
const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// Time that a killed process takes to come back.
const DOWN: Duration = Duration::from_secs(5);

/// The load of each part.
const RESTART: Load =
    Load { users: 2_000, every: Duration::from_secs(30), token_life: Duration::from_secs(300) };
const BUSY: Load = Load { users: 3_000, every: Duration::from_secs(10), token_life: Duration::from_secs(60) };
/// Time for which the users are watched once all have been let in.
const BUSY_FOR: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let real = std::time::Instant::now();
    let part = std::env::args().nth(1);
    let labels = Labels::install();
    let directory = std::env::temp_dir().join(format!("tower-clerk-life-{}", std::process::id()));
    let mut promises = Promises::default();
    let mut run = |name: &str, what: &dyn Fn(&mut Promises) -> Result<(), String>| {
        if part.as_deref().is_none_or(|part| part == name) {
            promises.part = name.to_owned();
            if let Err(error) = what(&mut promises) {
                promises.require(false, &error);
            }
        }
    };
    run("restart", &|promises| block_on(restart(&directory, promises)));
    run("busy", &|promises| block_on(busy(&directory, promises)));
    _ = fs::remove_dir_all(&directory);
    let told = labels.names();
    promises.part = "metrics".to_owned();
    promises.require(!told.is_empty(), "the engines count");
    for secret in [PASSWORD, "sk_live", "user_", "sess_", "person", "@", "eyJ"] {
        let silent = told.iter().all(|name| !name.contains(secret));
        promises.require(silent, &format!("no metric contains {secret:?}"));
    }
    println!("{} metrics, took {:.0} s of real time", told.len(), real.elapsed().as_secs_f64());
    for promise in &promises.broken {
        println!("BROKEN: {promise}");
    }
    if promises.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn block_on(part: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(part)
}

/// Runs 2,000 users for six hours, with a crash halfway.
async fn restart(directory: &Path, promises: &mut Promises) -> Result<(), String> {
    let world = World::new(RESTART, |builder| builder);
    world.add_latency();
    let file = place(directory, "restart")?;
    let mut tickets = 0;
    for life in ["cold start", "after the restart"] {
        let clerk = world.engine(&file, |builder| builder)?;
        let mut users = Users::start(&clerk, RESTART);
        let watched = watch(&clerk, 3 * HOUR).await;
        // Like in a crash, no session is ended.
        let stats = clerk.stats();
        clerk.publish_metrics();
        users.abort();
        drop(clerk);
        tokio::time::sleep(DOWN).await;
        let sign_ins = world.fake.count(Endpoint::SignIns) - tickets;
        tickets += sign_ins;
        println!("{life}: {}, {sign_ins} sign-ins", line(users.seen(), &stats, &watched));
        promises.require_quiet_users(life, users.seen(), &stats, &watched);
        if life == "after the restart" {
            promises.require(sign_ins == 0, "after the restart: no sign-ins");
        }
    }
    let all = RESTART.users as usize;
    promises.require((all..=all + all / 100).contains(&tickets), "one sign-in per user");
    let most_sessions = world.fake.live_sessions();
    promises.require(most_sessions <= all + all / 100, "no sessions are left behind at Clerk");
    world.require_budgets("restart", promises);
    Ok(())
}

/// Runs 3,000 users with tokens of one minute, whose sessions are all stored.
async fn busy(directory: &Path, promises: &mut Promises) -> Result<(), String> {
    let world = World::new(BUSY, FakeClerkBuilder::no_rate_limit);
    let file = place(directory, "busy")?;
    // Clerk's limits don't matter while the file is being filled.
    let clerk = world.engine(&file, |builder| builder.unlimited_sign_ins().backend_rate(100_000, SECOND))?;
    let mut users = Users::start(&clerk, BUSY);
    tokio::time::sleep(2 * BUSY.every).await;
    promises.require(users.seen().is_warm(), "the file of sessions is filled");
    users.abort();
    drop(clerk);
    tokio::time::sleep(DOWN).await;
    world.fake.reconfigure(|settings| settings.sign_in_limit(5, WINDOW).backend_limit(1000, WINDOW));
    world.fake.clear_log();
    world.add_latency();

    let clerk = world.engine(&file, |builder| builder)?;
    let began = Instant::now();
    let mut users = Users::start(&clerk, BUSY);
    let mut watched = Watched::default();
    while users.seen().warm_at().is_none() && began.elapsed() < HOUR {
        watched.add(watch(&clerk, SECOND).await);
    }
    let warm = world.fake.max_in_window(Endpoint::Backend, SECOND);
    watched.add(watch(&clerk, BUSY_FOR).await);
    let stats = clerk.stats();
    clerk.publish_metrics();
    users.abort();
    println!("busy: {}, {warm} calls in the busiest second until then", line(users.seen(), &stats, &watched));
    promises.require_quiet_users("busy", users.seen(), &stats, &watched);
    promises.require(world.fake.count(Endpoint::SignIns) == 0, "no sign-ins");
    world.require_budgets("busy", promises);
    Ok(())
}

fn place(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let directory = directory.join(name);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    Ok(directory.join("sessions"))
}

/// Counts by name.
type Tally = BTreeMap<String, u64>;
