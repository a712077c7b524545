//! Sends a million made-up credentials, and then ten thousand guesses per second at one user's password. Checks that
//! signed-in users notice nothing, and that memory stays flat.
//!
//! `cargo run --release --package tower-clerk-benches --bin flood`. Exits with code 1 if a promise is broken.

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

/// Latency that clock resolution and other work on the machine can cause.
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
    let (fake, clerk, cached) = match sign_users_in().await {
        Ok(world) => world,
        Err(error) => return vec![error],
    };
    let mut broken = Vec::new();
    let quiet = p99(&clerk, &cached, Duration::from_secs(3)).await;
    if memory_grows(&fake, &clerk).await {
        broken.push("resident memory is flat once the bounds are full".to_owned());
    }
    let flooded = p99_under_guesses(&clerk, &cached, quiet).await;
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

/// Starts a stand-in and an engine, and signs the cached users in.
async fn sign_users_in() -> Result<(FakeClerk, Clerk, Vec<Credentials>), String> {
    let fake = FakeClerk::builder().token_life(Duration::from_secs(3_600)).build();
    let builder = Clerk::builder(fake.fapi_url()).transport(fake.clone());
    let clerk = builder.build().map_err(|error| error.to_string())?;
    let mut cached = Vec::new();
    for at in 0..CACHED {
        let identifier = format!("user{at}@example.com");
        fake.add_user(FakeUser::new(&identifier).password("the same for all of them"));
        let Ok(credentials) = Credentials::new(identifier, "the same for all of them") else { continue };
        let answer = clerk.authenticate(&credentials, &Access::new()).await;
        answer.map_err(|rejection| format!("user {at} is not let in: {rejection}"))?;
        cached.push(credentials);
    }
    Ok((fake, clerk, cached))
}

/// Sends the made-up credentials. Returns whether memory still grows during the second half of them.
async fn memory_grows(fake: &FakeClerk, clerk: &Clerk) -> bool {
    let began = Instant::now();
    // The bounds are full long before the end of the first half.
    made_up(clerk, 0..MADE_UP / 2).await;
    let half = resident();
    made_up(clerk, MADE_UP / 2..MADE_UP).await;
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
    whole > half + 8.0 * 1024.0
}

/// Measures the cached users' latency while one user's password is being guessed.
async fn p99_under_guesses(clerk: &Clerk, cached: &[Credentials], quiet: Duration) -> Duration {
    let stop = Arc::new(AtomicBool::new(false));
    let guesses = Arc::new(AtomicU64::new(0));
    let guesser = tokio::spawn(guess(clerk.clone(), Arc::clone(&stop), Arc::clone(&guesses)));
    let flooded = p99(clerk, cached, GUESSING).await;
    stop.store(true, Ordering::Relaxed);
    _ = guesser.await;
    println!(
        "{} guesses at one user in {} s: p99 of a cached user {quiet:?} when quiet, {flooded:?} now ({:.2} times)",
        guesses.load(Ordering::Relaxed),
        GUESSING.as_secs(),
        flooded.as_secs_f64() / quiet.as_secs_f64(),
    );
    flooded
}

/// Authenticates unknown credentials, each once.
async fn made_up(clerk: &Clerk, numbers: std::ops::Range<u64>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    for number in numbers {
        let Ok(credentials) = Credentials::new(format!("nobody{number}@example.com"), "made up") else {
            continue;
        };
        // No more at a time than a server has connections, or memory would grow with this program's own tasks.
        let Ok(connection) = Arc::clone(&connections).acquire_owned().await else { return };
        let clerk = clerk.clone();
        tokio::spawn(async move {
            _ = clerk.authenticate(&credentials, &Access::new()).await;
            drop(connection);
        });
    }
    // Queued requests are answered after at most `sign_in_wait`.
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

/// Returns the 99th percentile of the cached users' latency.
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

/// Returns the resident memory in KiB, or NaN if the system doesn't report it.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}
