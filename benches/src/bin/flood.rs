//! A million made-up credentials, and then ten thousand guesses a second at one user: what do those notice who are
//! signed in, and what does the memory?
//!
//! `cargo run --release --package tower-clerk-benches --bin flood`. Ends with 1 where a promise is broken.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser};
use tower_clerk::{Access, Clerk, Credentials};

const CACHED: usize = 4;
const MADE_UP: u64 = 1_000_000;
const CONNECTIONS: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(10);
const PER_SECOND: u64 = 10_000;
const GUESSING: Duration = Duration::from_secs(10);

/// What a clock and a busy machine make of a latency by themselves.
const NOISE: Duration = Duration::from_micros(20);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let broken = match runtime {
        Ok(runtime) => runtime.block_on(flood()),
        Err(error) => vec![format!("no runtime: {error}")],
    };
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn flood() -> Vec<String> {
    let fake = FakeClerk::builder().token_life(Duration::from_secs(3_600)).build();
    let clerk = match Clerk::builder(fake.fapi_url()).transport(fake.clone()).build() {
        Ok(clerk) => clerk,
        Err(error) => return vec![error.to_string()],
    };
    let mut cached = Vec::new();
    for at in 0..CACHED {
        let identifier = format!("user{at}@example.com");
        fake.add_user(FakeUser::new(&identifier).password("the same for all of them"));
        let Ok(credentials) = Credentials::new(identifier, "the same for all of them") else { continue };
        if let Err(rejection) = clerk.authenticate(&credentials, &Access::new()).await {
            return vec![format!("user {at} is not let in: {rejection}")];
        }
        cached.push(credentials);
    }
    let mut broken = Vec::new();

    let quiet = p99(&clerk, &cached, Duration::from_secs(3)).await;
    // The bounds are full long before the first half is over.
    let began = Instant::now();
    made_up(&clerk, 0..MADE_UP / 2).await;
    let half = resident();
    made_up(&clerk, MADE_UP / 2..MADE_UP).await;
    let whole = resident();
    println!(
        "{MADE_UP} made-up credentials in {:.0} s: {} sign-ins reached Clerk, {} in the busiest window; resident memory \
         {:.1} MiB after half of them, {:.1} MiB after all",
        began.elapsed().as_secs_f64(),
        fake.count(Endpoint::SignIns),
        fake.max_in_window(Endpoint::SignIns, WINDOW),
        half / 1024.0,
        whole / 1024.0,
    );
    if whole > half + 8.0 * 1024.0 {
        broken.push("resident memory is flat once the bounds are full".to_owned());
    }

    let stop = Arc::new(AtomicBool::new(false));
    let guesses = Arc::new(AtomicU64::new(0));
    let guesser = tokio::spawn(guess(clerk.clone(), Arc::clone(&stop), Arc::clone(&guesses)));
    let flooded = p99(&clerk, &cached, GUESSING).await;
    stop.store(true, Ordering::Relaxed);
    _ = guesser.await;
    println!(
        "{} guesses at one user in {} s: p99 of a cached user {quiet:?} when quiet, {flooded:?} now ({:.2} times)",
        guesses.load(Ordering::Relaxed),
        GUESSING.as_secs(),
        flooded.as_secs_f64() / quiet.as_secs_f64(),
    );
    if flooded > (2 * quiet).max(NOISE) {
        broken.push("latency of cached users, p99, stays within twice of quiet".to_owned());
    }
    if fake.max_in_window(Endpoint::SignIns, WINDOW) > 5 {
        broken.push("sign-ins that reach Clerk stay within the budget".to_owned());
    }
    for credentials in &cached {
        if clerk.authenticate(credentials, &Access::new()).await.is_err() {
            broken.push("no session is pushed out".to_owned());
        }
    }
    broken
}

/// Asks with credentials that nobody has, each only once.
async fn made_up(clerk: &Clerk, numbers: std::ops::Range<u64>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    for number in numbers {
        let Ok(credentials) = Credentials::new(format!("nobody{number}@example.com"), "made up") else {
            continue;
        };
        // As many at a time as a server has connections, so that it isn't this program's own tasks that are measured.
        let Ok(connection) = Arc::clone(&connections).acquire_owned().await else { return };
        let clerk = clerk.clone();
        tokio::spawn(async move {
            _ = clerk.authenticate(&credentials, &Access::new()).await;
            drop(connection);
        });
    }
    // Those in the queue are done with after `sign_in_wait`.
    tokio::time::sleep(Duration::from_secs(12)).await;
}

async fn guess(clerk: Clerk, stop: Arc<AtomicBool>, guesses: Arc<AtomicU64>) {
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let due = began.elapsed().as_millis() as u64 * PER_SECOND / 1_000;
        while guesses.load(Ordering::Relaxed) < due {
            let number = guesses.fetch_add(1, Ordering::Relaxed);
            let Ok(credentials) = Credentials::new("user0@example.com", format!("guess {number}")) else {
                continue;
            };
            let clerk = clerk.clone();
            tokio::spawn(async move { _ = clerk.authenticate(&credentials, &Access::new()).await });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The latency that one of a hundred requests of cached users is above.
async fn p99(clerk: &Clerk, cached: &[Credentials], time: Duration) -> Duration {
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        for credentials in cached {
            let asked = Instant::now();
            let answer = clerk.authenticate(credentials, &Access::new()).await;
            latencies.push(if answer.is_ok() { asked.elapsed() } else { Duration::MAX });
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    latencies.sort_unstable();
    latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(Duration::MAX)
}

/// Resident memory in KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}
