//! Thousands of users on the Backend API's road, on a driven clock: does a service live with both of Clerk's budgets,
//! over a restart and with tokens of a minute?
//!
//! `cargo run --release --package tower-clerk-benches --features driven-clock --bin life_backend`. Ends with 1 where a
//! promise is broken. `… --bin life_backend restart` and `… busy` do one of the two parts.
//!
//! - *restart*: 2,000 users for six hours, with an engine that is killed halfway and another that goes on with its file
//!   of sessions.
//! - *busy*: 3,000 users at a time on tokens of a minute, all of which the secret key mints, after a start with a file
//!   of sessions.

mod labels;
mod users;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;
use tower_clerk::stats::{CircuitState, Outcome, Stats};
use tower_clerk::store::SessionFile;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, FakeClerkBuilder, FakeUser, Fault};
use tower_clerk::{Clerk, ClerkBuilder};

use self::labels::Labels;
use self::users::{Load, Seen, Users};
use self::wire::Wire;

const PASSWORD: &str = "the same for all of them";
const SECRET_KEY: &str = "sk_live_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP";
const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// Four fifths of what Clerk allows a production instance, in a window and in the tenth of it.
const CALLS: usize = 800;
const CALLS_IN_A_SECOND: usize = 80;
/// Times that the stand-in's log keeps: past that, a window may be missed.
const LOGGED: usize = 1_000_000;

/// A process that is killed isn't back at once.
const DOWN: Duration = Duration::from_secs(5);

/// The users of either part.
const RESTART: Load =
    Load { users: 2_000, every: Duration::from_secs(30), token_life: Duration::from_secs(300) };
const BUSY: Load = Load { users: 3_000, every: Duration::from_secs(10), token_life: Duration::from_secs(60) };
/// How long they are looked at once all have been let in.
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
                promises.keep(false, &error);
            }
        }
    };
    run("restart", &|promises| block_on(restart(&directory, promises)));
    run("busy", &|promises| block_on(busy(&directory, promises)));
    _ = fs::remove_dir_all(&directory);
    let told = labels.names();
    promises.part = "metrics".to_owned();
    promises.keep(!told.is_empty(), "the engines count");
    for secret in [PASSWORD, "sk_live", "user_", "sess_", "person", "@", "eyJ"] {
        let silent = told.iter().all(|name| !name.contains(secret));
        promises.keep(silent, &format!("no metric says {secret:?}"));
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

/// 2,000 users for six hours, and a crash halfway.
async fn restart(directory: &Path, promises: &mut Promises) -> Result<(), String> {
    let world = World::new(RESTART, |builder| builder);
    world.take_time();
    let file = place(directory, "restart")?;
    let mut tickets = 0;
    for (life, file) in ["cold start", "after the restart"].into_iter().zip([&file, &beside(&file)]) {
        let clerk = world.engine(file, |builder| builder)?;
        let mut users = Users::start(&clerk, RESTART);
        let watched = watch(&clerk, 3 * HOUR).await;
        // As a crash would: nobody is told, and what the file holds is what was written by then.
        let stats = clerk.stats();
        clerk.publish_metrics();
        users.abort();
        drop(clerk);
        if !beside(file).exists() {
            fs::copy(file, beside(file)).map_err(|error| error.to_string())?;
        }
        tokio::time::sleep(DOWN).await;
        let free = SessionFile::open(file).is_ok();
        promises.keep(free, &format!("{life}: an engine that is gone has let go of its file"));
        let sign_ins = world.fake.count(Endpoint::SignIns) - tickets;
        tickets += sign_ins;
        println!("{life}: {}, {sign_ins} sign-ins", line(users.seen(), &stats, &watched));
        judge(life, users.seen(), &stats, &watched, promises);
        if life == "after the restart" {
            promises.keep(sign_ins == 0, "after the restart: no sign-ins");
        }
    }
    let all = RESTART.users as usize;
    promises.keep((all..=all + all / 100).contains(&tickets), "one sign-in per user");
    let most_sessions = world.fake.live_sessions();
    promises.keep(most_sessions <= all + all / 100, "no sessions are left behind at Clerk");
    world.hold_budgets("restart", promises);
    Ok(())
}

/// 3,000 users on tokens of a minute, of whom all sessions are known.
async fn busy(directory: &Path, promises: &mut Promises) -> Result<(), String> {
    let world = World::new(BUSY, FakeClerkBuilder::no_rate_limit);
    let file = place(directory, "busy")?;
    // Clerk's limits don't matter to how the file was filled.
    let clerk = world.engine(&file, |builder| builder.unlimited_sign_ins().backend_rate(100_000, SECOND))?;
    let mut users = Users::start(&clerk, BUSY);
    tokio::time::sleep(2 * BUSY.every).await;
    promises.keep(users.seen().is_warm(), "the file of sessions is filled");
    users.abort();
    drop(clerk);
    tokio::time::sleep(DOWN).await;
    world.fake.reconfigure(|settings| settings.sign_in_limit(5, WINDOW).backend_limit(1000, WINDOW));
    world.fake.clear_log();
    world.take_time();

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
    judge("busy", users.seen(), &stats, &watched, promises);
    promises.keep(world.fake.count(Endpoint::SignIns) == 0, "no sign-ins");
    world.hold_budgets("busy", promises);
    Ok(())
}

/// A stand-in for Clerk with its users, and the way there.
struct World {
    fake: FakeClerk,
    wire: Wire,
    clock: Clock,
}

impl World {
    fn new(load: Load, settings: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> Self {
        let clock = Clock::system();
        let builder =
            FakeClerk::builder().empty().clock(clock).token_life(load.token_life).secret_key(SECRET_KEY);
        let fake = settings(builder).build();
        for at in 0..load.users {
            fake.add_user(FakeUser::new(users::identifier(at)).password(PASSWORD));
        }
        Self { wire: Wire::to(fake.clone()), fake, clock }
    }

    /// Clerk takes its time, so that a wait shows.
    fn take_time(&self) {
        let delay = |endpoint, ms| {
            self.fake.script_always(endpoint, Fault::DelayAnswer(Duration::from_millis(ms)));
        };
        delay(Endpoint::SignIns, 250);
        for endpoint in [Endpoint::Tokens, Endpoint::Backend] {
            delay(endpoint, 60);
        }
        // All in all: this one is delayed as a call, and by the hash.
        self.fake.reconfigure(|settings| settings.verify_password_time(Duration::from_millis(90)));
    }

    fn engine(
        &self,
        file: &Path,
        settings: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> Result<Clerk, String> {
        let sessions = SessionFile::open(file).map_err(|error| error.to_string())?;
        let builder = Clerk::builder(self.fake.publishable_key())
            .secret_key(SECRET_KEY)
            .backend_url(self.fake.backend_url())
            .session_store(sessions)
            .transport(self.wire.clone())
            .clock(self.clock)
            .jitter_seed(1);
        settings(builder).build().map_err(|error| error.to_string())
    }

    fn hold_budgets(&self, part: &str, promises: &mut Promises) {
        let fake = &self.fake;
        let sign_ins = fake.max_in_window(Endpoint::SignIns, WINDOW);
        let [second, window] = [SECOND, WINDOW].map(|length| fake.max_in_window(Endpoint::Backend, length));
        let (calls, quota) = (fake.count(Endpoint::Backend), self.wire.too_many());
        println!(
            "{part}: {calls} calls to the Backend API, {second} in the busiest second and {window} in the busiest 10 s, \
             {} mints by the Frontend API and {} by the key, {sign_ins} sign-ins in the busiest 10 s, {quota} times 429, \
             {} sessions live at Clerk; answers other than 200: {:?}",
            fake.count(Endpoint::Tokens),
            fake.count(Endpoint::BackendTokens),
            fake.live_sessions(),
            self.wire.others(),
        );
        promises.keep(calls <= LOGGED, "the log holds all calls");
        promises.keep(sign_ins <= 5, "never more sign-ins in a window than the budget");
        promises.keep(
            second <= CALLS_IN_A_SECOND,
            "never more calls to the Backend API in a second than its part",
        );
        promises.keep(window <= CALLS, "never more calls to the Backend API in a window than the budget");
        promises.keep(quota == 0, "Clerk never says 429");
    }
}

/// What was looked at once a second.
#[derive(Default)]
struct Watched {
    sign_in_circuit_open: u32,
    mint_circuit_open: u32,
    most_mints: usize,
}

impl Watched {
    fn add(&mut self, other: Self) {
        self.sign_in_circuit_open += other.sign_in_circuit_open;
        self.mint_circuit_open += other.mint_circuit_open;
        self.most_mints = self.most_mints.max(other.most_mints);
    }
}

async fn watch(clerk: &Clerk, time: Duration) -> Watched {
    let (end, mut watched) = (Instant::now() + time, Watched::default());
    while Instant::now() < end {
        tokio::time::sleep(SECOND.min(end - Instant::now())).await;
        let stats = clerk.stats();
        watched.sign_in_circuit_open += u32::from(stats.sign_in_circuit == CircuitState::Open);
        watched.mint_circuit_open += u32::from(stats.mint_circuit == CircuitState::Open);
        watched.most_mints = watched.most_mints.max(stats.mint_flights);
    }
    watched
}

fn line(seen: &Seen, stats: &Stats, watched: &Watched) -> String {
    let warm = seen.warm();
    let since = |outcome| stats.count(outcome) - warm.as_ref().map_or(0, |(_, then)| then.count(outcome));
    let total = stats.total() - warm.as_ref().map_or(0, |(_, then)| then.total());
    let (early, late) = (seen.early(), seen.late());
    let mut waits = late.waits.clone();
    waits.sort_unstable();
    let part = |part: f64| {
        let at = (waits.len() as f64 * part) as usize;
        waits.get(at.min(waits.len().saturating_sub(1))).map_or(0, Duration::as_millis)
    };
    format!(
        "{} requests, all {} users let in after {:.0} s ({} times 503 on the way {:?}, the longest Retry-After {} s; of those \
         who were in already {} waited and {} were refused {:?}); since then {total} requests ({:.2} % hits), {} waited for \
         a mint (p50 {} ms, p99 {} ms, at most {} ms), {} for a sign-in, {} were refused {:?}; circuits open for {} s and {} s, \
         {} mints at a time at most",
        seen.requests(),
        seen.first(),
        seen.warm_at().map_or(f64::NAN, |at| (at - seen.began()).as_secs_f64()),
        seen.turned_away(),
        seen.turned_away_by(),
        seen.longest().as_secs(),
        early.waits.len(),
        early.refused.values().sum::<u64>(),
        early.refused,
        100.0 * since(Outcome::Hit) as f64 / total.max(1) as f64,
        waits.len(),
        part(0.5),
        part(0.99),
        part(1.0),
        since(Outcome::SignedIn) + since(Outcome::Joined),
        late.refused.values().sum::<u64>(),
        late.refused,
        watched.sign_in_circuit_open,
        watched.mint_circuit_open,
        watched.most_mints,
    )
}

/// What an engine's users must see, whatever the load.
fn judge(life: &str, seen: &Seen, stats: &Stats, watched: &Watched, promises: &mut Promises) {
    let mut keep = |kept, what: &str| promises.keep(kept, &format!("{life}: {what}"));
    let warm = seen.warm();
    keep(warm.is_some(), "every user is let in once");
    let open = watched.sign_in_circuit_open + watched.mint_circuit_open;
    keep(open == 0, "no circuit opens, as Clerk is never away");
    let Some((_, then)) = warm else { return };
    let of = |stats: &Stats| stats.count(Outcome::SignedIn) + stats.count(Outcome::Joined);
    keep(of(stats) == of(&then), "after the warm-up, no request waits for a sign-in");
    keep(of(&then) <= seen.first(), "after a user's first, no request waits for a sign-in");
    keep(seen.late().refused.is_empty(), "after the warm-up, no request is refused");
    keep(seen.early().refused.is_empty(), "after a user's first, no request is refused");
    let limited: u64 =
        stats.upstream.iter().filter(|calls| calls.result == "rate_limited").map(|calls| calls.count).sum();
    keep(limited == 0, "no call is answered 429");
    // Requests that were aborted count as cancelled, and here not at all.
    let done = stats.total() - stats.count(Outcome::Cancelled);
    keep(done == seen.requests(), "outcomes add up to requests");
}

fn place(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let directory = directory.join(name);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    Ok(directory.join("sessions"))
}

/// Where a copy of a file goes.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("copy")
}

/// What must hold.
#[derive(Default)]
struct Promises {
    part: String,
    broken: Vec<String>,
}

impl Promises {
    fn keep(&mut self, kept: bool, what: &str) {
        if !kept {
            self.broken.push(format!("{}: {what}", self.part));
        }
    }
}

/// How often something was so.
type Tally = BTreeMap<String, u64>;
