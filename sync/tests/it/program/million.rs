//! A million users: times, rows per second and memory. Run by hand, in a release build:
//!
//! `cargo test --release -p tower-clerk-sync --all-features --test it million -- --ignored --nocapture --test-threads 1`

use std::process::Stdio;
use std::time::{Duration, Instant};

use tower_clerk::testing::{FakeClerk, FakeUser};

use super::{Process, Setup};
use crate::support::{Database, Server};

/// Bytes that the program may take at most.
const MOST_MEMORY: u64 = 200 * 1024 * 1024;

/// The number of users: `USERS` for a smaller try.
fn users() -> usize {
    std::env::var("USERS").ok().and_then(|users| users.parse().ok()).unwrap_or(1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and a gigabyte: run by hand, in a release build"]
async fn y5_a_million_users_are_filled_in_and_reconciled_on_sqlite() {
    measure("SQLite", &Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and a gigabyte: run by hand, in a release build"]
async fn y5_a_million_users_are_filled_in_and_reconciled_on_postgresql() {
    // With `fsync`, as a server has it.
    let server = Server::start("").expect("PostgreSQL is installed");
    measure("PostgreSQL", &Database::of(&server).await).await;
}

async fn measure(name: &str, database: &Database) {
    let fake = FakeClerk::builder().empty().no_rate_limit().build();
    fake.hold_webhooks();
    let begun = Instant::now();
    fake.seed_users(users());
    println!("{name}: {} users at the stand-in, after {:.1} s", users(), begun.elapsed().as_secs_f64());
    let setup = Setup::with(&database.url, fake.clone()).await;
    assert!(setup.run(&["migrate"]).await.status.success());

    let memory = timed(name, &setup, &["backfill"], 0).await;
    let nothing = timed(name, &setup, &["reconcile", "--repair"], 0).await;
    for number in 1..=10 {
        fake.delete_user(&format!("user{number}@example.com"));
        fake.edit_user_silently(&format!("user{}@example.com", 100 + number), |user| {
            user.name("Ada", "Lovelace")
        });
        fake.add_user(FakeUser::new(format!("new{number}@example.com")));
    }
    // A difference of each kind is of the second before this one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let few = timed(name, &setup, &["reconcile", "--repair"], 60).await;
    let (code, status) = setup.json(&["status"]).await;
    let report = &status["last_reconcile"]["report"];
    assert_eq!((code, &report["outcome"]), (0, &"repaired".into()), "{report}");
    for difference in ["missing", "extra", "stale"] {
        assert_eq!(report["users"][difference], 10, "{report}");
    }
    let most = memory.max(nothing).max(few);
    println!("{name}: {} MB at most", most / 1024 / 1024);
    assert!(most <= MOST_MEMORY, "{most}");
}

/// Runs the program, prints its time, and returns its peak memory. `waits` are seconds that it waits by design.
async fn timed(name: &str, setup: &Setup, arguments: &[&str], waits: u64) -> u64 {
    let begun = Instant::now();
    let child = setup.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut process = Process(child);
    let mut peak = 0;
    let status = loop {
        if let Some(memory) = peak_memory(process.0.id()) {
            peak = memory;
        }
        if let Some(status) = process.0.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(status.success(), "{arguments:?}: {status}");
    let took = begun.elapsed().as_secs_f64();
    let rate = users() as f64 / (took - waits as f64);
    println!("{name}: {}: {took:.1} s, {rate:.0} users/s, {} MB", arguments.join(" "), peak / 1024 / 1024);
    peak
}

/// The most memory that a process has had so far, by Linux.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
