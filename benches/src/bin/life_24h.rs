//! Simulates a thousand users for a day, on a simulated clock. Checks that a busy service stays within Clerk's limits
//! without any user noticing.
//!
//! `cargo run --release --package tower-clerk-benches --features driven-clock --bin life_24h`. Exits with code 1 if a
//! promise is broken.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, FakeUser, Fault};
use tower_clerk::{Access, Clerk, Credentials};

const USERS: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TOKEN_LIFE: Duration = Duration::from_secs(600);
const SESSION_TTL: Duration = Duration::from_secs(60 * 60);
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    waited: AtomicU64,
    refused: AtomicU64,
    first: AtomicU64,
}

fn main() -> ExitCode {
    let real = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let broken = match runtime {
        Ok(runtime) => runtime.block_on(day()),
        Err(error) => vec![format!("no runtime: {error}")],
    };
    println!("took {:.0} s of real time", real.elapsed().as_secs_f64());
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn day() -> Vec<String> {
    let clock = Clock::system();
    let fake = FakeClerk::builder().clock(clock).token_life(TOKEN_LIFE).build();
    // Realistic latencies, so that a request that waits for Clerk takes time.
    fake.script_always(Endpoint::SignIns, Fault::DelayAnswer(Duration::from_millis(250)));
    fake.script_always(Endpoint::Tokens, Fault::DelayAnswer(Duration::from_millis(60)));
    let builder = Clerk::builder(fake.fapi_url()).transport(fake.clone()).clock(clock).jitter_seed(1);
    let clerk = match builder.session_ttl(SESSION_TTL).build() {
        Ok(clerk) => clerk,
        Err(error) => return vec![error.to_string()],
    };
    let seen = Arc::new(Seen::default());
    let start = Instant::now();
    for at in 0..USERS {
        let identifier = format!("user{at}@example.com");
        fake.add_user(FakeUser::new(&identifier).password("the same for all of them"));
        let Ok(credentials) = Credentials::new(identifier, "the same for all of them") else { continue };
        tokio::spawn(live(clerk.clone(), credentials, at, start, Arc::clone(&seen)));
    }
    let peaks = watch(&clerk, &fake, &seen, start).await;
    broken_promises(&clerk, &fake, &seen, &peaks)
}

/// The largest values of the day.
#[derive(Default)]
struct Peaks {
    sessions: usize,
    tasks: usize,
}

/// Samples the peaks once a minute until the day is over, and prints the state every four hours.
async fn watch(clerk: &Clerk, fake: &FakeClerk, seen: &Seen, start: Instant) -> Peaks {
    let mut peaks = Peaks::default();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for minute in 0..24 * 60 {
        tokio::time::sleep_until(start + Duration::from_secs(60 * minute)).await;
        peaks.sessions = peaks.sessions.max(fake.live_sessions());
        peaks.tasks = peaks.tasks.max(tasks());
        if minute % 240 == 0 {
            println!(
                "{:>2} h: {:>9} requests, {:>6} sign-ins, {:>7} mints, {:>4} sessions here, {:>4} live at Clerk, {:>4} tasks",
                minute / 60,
                seen.requests.load(Ordering::Relaxed),
                fake.count(Endpoint::SignIns),
                fake.count(Endpoint::Tokens),
                clerk.stats().sessions,
                fake.live_sessions(),
                tasks(),
            );
        }
    }
    peaks
}

/// Prints the day's totals, and returns the promises that they break.
fn broken_promises(clerk: &Clerk, fake: &FakeClerk, seen: &Seen, peaks: &Peaks) -> Vec<String> {
    let stats = clerk.stats();
    let requests = seen.requests.load(Ordering::Relaxed);
    let (waited, refused) = (seen.waited.load(Ordering::Relaxed), seen.refused.load(Ordering::Relaxed));
    let sign_ins = fake.count(Endpoint::SignIns) as f64;
    let most = f64::from(USERS) * (1.0 + DAY.as_secs_f64() / (0.8 * SESSION_TTL.as_secs_f64()));
    let busiest = fake.max_in_window(Endpoint::SignIns, WINDOW);
    println!(
        "{requests} requests ({:.2} % hits), {sign_ins} sign-ins (at most {most:.0}), {busiest} in the busiest window, \
         {waited} waited and {refused} were refused after their user's first, {} sessions live at Clerk at most, {} \
         tasks at most",
        100.0 * stats.count(Outcome::Hit) as f64 / requests as f64,
        peaks.sessions,
        peaks.tasks,
    );
    let mut broken = Vec::new();
    let mut promise = |holds: bool, what: &str| {
        if !holds {
            broken.push(what.to_owned());
        }
    };
    promise(seen.first.load(Ordering::Relaxed) == u64::from(USERS), "every user is let in once");
    promise(sign_ins <= most, "sign-ins at most users x time / (0.8 x session_ttl), after the first ones");
    promise(busiest <= 5, "never more sign-ins in a window than the budget");
    promise(waited == 0, "after the first, no request waits");
    promise(refused == 0, "after the first, no request is refused");
    promise(peaks.sessions <= USERS as usize + 64, "no sessions are left behind at Clerk");
    promise(peaks.tasks <= USERS as usize + 512, "tasks are flat");
    promise(stats.total() == requests, "outcomes add up to requests");
    broken
}

/// One user, who sends a request every 20 to 60 s, all day.
async fn live(clerk: Clerk, credentials: Credentials, at: u32, start: Instant, seen: Arc<Seen>) {
    let (mut dice, mut known) = (u64::from(at) * 2_654_435_761 + 1, false);
    while start.elapsed() < DAY {
        let asked = Instant::now();
        let answer = clerk.authenticate(&credentials, &Access::new()).await;
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let mut pause = None;
        match &answer {
            Ok(_) if known && !asked.elapsed().is_zero() => _ = seen.waited.fetch_add(1, Ordering::Relaxed),
            Ok(_) if !known => _ = seen.first.fetch_add(1, Ordering::Relaxed),
            Ok(_) => {}
            Err(_) if known => _ = seen.refused.fetch_add(1, Ordering::Relaxed),
            // The budget allows one sign-in every two seconds; the other users retry after `Retry-After`.
            Err(rejection) => pause = rejection.retry_after(),
        }
        known |= answer.is_ok();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let pause = pause.unwrap_or_else(|| Duration::from_millis(20_000 + dice % 40_000));
        tokio::time::sleep(pause).await;
    }
}
