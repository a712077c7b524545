//! Prints the cost of a hit and of a miss, with a goal for each number. Exits with code 1 if a goal is missed that
//! doesn't depend on the machine: instructions, allocations, memory.
//!
//! Instructions need valgrind. The optional argument is the number of sessions for the miss and for memory.

mod goals;

use std::env;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tower_clerk::{Access, Clerk, ClerkSession};
use tower_clerk_benches::{
    Counting, Instance, Instructions, Measured, Replay, Request, Subject, Visitor, drive, request,
};

use self::goals::{Goals, Sort};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Number of rounds. Each takes one sample of every subject, and a subject's best sample counts: other work on the
/// machine only ever adds to a sample.
const ROUNDS: usize = 41;
/// The heap of a session today, with some room for the sizes at which tables grow.
const MOST_BYTES: f64 = 5_300.0;
/// Minimum duration of a sample.
const SAMPLE: Duration = Duration::from_millis(4);

fn main() -> ExitCode {
    if Instructions::serve() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => report(20_000),
        [sessions] => match sessions.parse() {
            Ok(sessions) if sessions > 1 => report(sessions),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: cost [SESSIONS]");
    ExitCode::from(2)
}

fn report(sessions: usize) -> ExitCode {
    let mut goals = Goals::default();
    hits(&mut goals);
    threads(&mut goals);
    misses(sessions, &mut goals);
    goals.print()
}

/// Sends a number of requests through a subject.
type Runner = Box<dyn FnMut(u64) + Send>;

struct Runners<const N: usize>(String);

impl<const N: usize> Visitor for Runners<N> {
    type Output = [Runner; N];

    fn visit<S: Measured + Clone + Send + 'static>(self, service: S) -> Self::Output {
        std::array::from_fn(|_| {
            let (mut service, request) = (service.clone(), request(&self.0));
            Box::new(move |times| drive(&mut service, &request, times)) as Runner
        })
    }
}

fn runners<const N: usize>(subject: Subject, instance: &Instance) -> [Runner; N] {
    subject.show(instance, Runners(subject.authorization(instance)))
}

struct Row {
    subject: Subject,
    run: Runner,
    /// Number of requests in a sample.
    batch: u64,
    times: Vec<f64>,
    allocations: f64,
    instructions: Option<f64>,
}

impl Row {
    fn new(subject: Subject, instance: &Instance) -> Self {
        let [mut run] = runners(subject, instance);
        run(1_000);
        let before = Counting::allocations();
        run(10_000);
        let allocations = (Counting::allocations() - before) as f64 / 10_000.0;
        let mut batch = 100;
        let batch = loop {
            let began = Instant::now();
            run(batch);
            if began.elapsed() >= SAMPLE {
                break batch;
            }
            batch *= 2;
        };
        let instructions = Instructions::count(subject).ok().map(|counted| counted.total);
        Self { subject, run, batch, times: Vec::new(), allocations, instructions }
    }

    fn sample(&mut self) {
        let began = Instant::now();
        (self.run)(self.batch);
        self.times.push(began.elapsed().as_secs_f64() * 1e9 / self.batch as f64);
    }
}

fn hits(goals: &mut Goals) {
    let instance = Instance::warm();
    let _entered = instance.runtime().enter();
    let mut rows: Vec<Row> = Subject::ALL.map(|subject| Row::new(subject, &instance)).into();
    for _ in 0..ROUNDS {
        rows.iter_mut().for_each(Row::sample);
    }

    println!("A request, one thread, best of {ROUNDS} interleaved rounds. Net is less the bare service.\n");
    println!(
        "{:32}{:>8}{:>10}{:>16}{:>18}{:>12}",
        "", "ns", "net ns", "to tower-http", "net instructions", "net allocs"
    );
    let find = |subject| rows.iter().find(|row| row.subject == subject).expect("all subjects have a row");
    let (bare, basic) = (find(Subject::Bare), find(Subject::TowerHttpBasic));
    let net = |row: &Row| (best(&row.times) - best(&bare.times), row.allocations - bare.allocations);
    let net_instructions = |row: &Row| Some(row.instructions? - bare.instructions?);
    for row in &rows {
        let time = best(&row.times);
        let (net_time, net_allocations) = net(row);
        let instructions = net_instructions(row).map_or("-".to_owned(), |net| format!("{net:.0}"));
        println!(
            "{:32}{time:>8.0}{net_time:>10.0}{:>16.2}{instructions:>18}{net_allocations:>12.2}",
            row.subject.name(),
            time / best(&basic.times),
        );
    }

    let (hit, keep) = (find(Subject::Hit), find(Subject::HitKeep));
    for (row, most) in [(hit, 2_800.0), (keep, 2_400.0)] {
        let what = format!("net instructions, {}", row.subject.name());
        match net_instructions(row) {
            Some(net) => goals.at_most(Sort::Steady, &what, net, most),
            None => goals.unknown(&what, "there is no valgrind"),
        }
    }
    // Not an integer, because moka occasionally allocates for many reads at once.
    goals.at_most(Sort::Steady, "net allocations, hit", net(hit).1, 3.05);
    let whole = best(&hit.times) / best(&basic.times);
    goals.at_most(Sort::Timed, "whole request to tower-http basic", whole, 2.2);
    let (guarded, unguarded) = (net(find(Subject::HitGuard)), net(find(Subject::HitOrganization)));
    goals.at_most(Sort::Timed, "a guard, ns net of a hit", guarded.0 - unguarded.0, 100.0);
    goals.at_most(Sort::Steady, "allocations of a guard", guarded.1 - unguarded.1, 0.05);
    for (subject, most) in [(Subject::BearerHit, 1.5), (Subject::ApiKeyHit, 1.2)] {
        let row = find(subject);
        let what = format!("{} to a Basic hit, net", row.subject.name());
        // By the goal of a Basic hit: they would otherwise be missed whenever that gets cheaper alone.
        if let Some(net) = net_instructions(row) {
            goals.at_most(
                Sort::Steady,
                &format!("net instructions, {}", row.subject.name()),
                net,
                1.5 * 2_800.0,
            );
        }
        goals.at_most(Sort::Timed, &format!("{what} time"), net(row).0 / net(hit).0, most);
    }
    let rs256 = net(find(Subject::Rs256)).0 / net(hit).0;
    goals.at_least(Sort::Timed, "RS256 per request to a hit, net", rs256, 110.0);
}

fn threads(goals: &mut Goals) {
    let instance = Instance::warm();
    println!("\nTwo threads on one credential, throughput to that of one thread.\n");
    let mut rows: Vec<_> = [Subject::Bare, Subject::InsertArc, Subject::Hit]
        .into_iter()
        .map(|subject| (subject, runners::<2>(subject, &instance), Vec::new(), Vec::new()))
        .collect();
    for _ in 0..ROUNDS {
        for (_, [one, two], alone, both) in &mut rows {
            alone.push(together(&mut [one]));
            both.push(together(&mut [one, two]));
        }
    }
    let scalings: Vec<_> = rows.iter().map(|(_, _, alone, both)| 2.0 * best(alone) / best(both)).collect();
    for ((subject, ..), scaling) in rows.iter().zip(&scalings) {
        println!("{:32}{scaling:>10.2}", subject.name());
    }
    let [control, _, hit] = scalings.as_slice() else { unreachable!("three subjects") };
    let what = format!("two threads, one credential (the control scales by {control:.2})");
    goals.at_least(Sort::Timed, &what, *hit, 1.5);
}

/// Returns the seconds in which each thread sends the same number of requests.
fn together(runners: &mut [&mut Runner]) -> f64 {
    const REQUESTS: u64 = 20_000;
    let barrier = Barrier::new(runners.len());
    let times = thread::scope(|scope| {
        let started: Vec<_> = runners
            .iter_mut()
            .map(|run| {
                let barrier = &barrier;
                scope.spawn(move || {
                    run(1_000);
                    barrier.wait();
                    let began = Instant::now();
                    run(REQUESTS);
                    began.elapsed().as_secs_f64()
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    times.into_iter().fold(0.0, f64::max)
}

fn misses(sessions: usize, goals: &mut Goals) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let replay = Replay::record(sessions + 1).await;
        let clerk = replay.engine().max_sessions(sessions as u64 + 1).build().expect("an engine");
        // Fetches the key set and does all other one-time work.
        sign_in(&clerk, sessions).await;
        let (bytes, allocations) = (Counting::live_bytes(), Counting::allocations());
        let began = Instant::now();
        for number in 0..sessions {
            sign_in(&clerk, number).await;
        }
        let time = began.elapsed().as_secs_f64() * 1e6 / sessions as f64;
        let per = |total: f64| total / sessions as f64;
        let allocations = per((Counting::allocations() - allocations) as f64);
        let bytes = per((Counting::live_bytes() - bytes) as f64);
        let jwt = sign_in(&clerk, 0).await.token().len();
        println!(
            "\n{sessions} sign-ins one after the other, answers made beforehand: {time:.1} µs each, {allocations:.0} \
             allocations, {bytes:.0} bytes stored, of which {jwt} are the JWT."
        );
        let (few, many) = growth(&clerk, sessions);
        println!("A hit on one of 10 sessions takes {few:.0} ns net, on one of {sessions} {many:.0} ns.\n");
        goals.at_most(Sort::Timed, &format!("a hit on one of {sessions} sessions to one of 10"), many / few, 3.0);
        goals.at_most(Sort::Timed, "a miss, µs of our own", time, 60.0);
        goals.at_most(Sort::Open, "bytes of heap per session", bytes, 2_200.0);
        goals.at_most(Sort::Steady, "bytes of heap per session, not to grow", bytes, MOST_BYTES);
    });
}

async fn sign_in(clerk: &Clerk, number: usize) -> ClerkSession {
    let session = clerk.authenticate(&Replay::credentials(number), &Access::new()).await;
    session.expect("a session")
}

/// Returns the net nanoseconds of a hit on one of ten sessions, and on one of all, in an order that CPU caches can't
/// predict.
fn growth(clerk: &Clerk, sessions: usize) -> (f64, f64) {
    let requests: Vec<_> = (0..sessions).map(|number| request(&Replay::basic(number))).collect();
    let (mut hit, mut bare) = (Subject::layered(clerk.clone()), Subject::bare());
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        times[0].push(scattered(&mut hit, &requests[..10.min(sessions)], sessions));
        times[1].push(scattered(&mut bare, &requests[..10.min(sessions)], sessions));
        times[2].push(scattered(&mut hit, &requests, sessions));
        times[3].push(scattered(&mut bare, &requests, sessions));
    }
    let [hit_few, bare_few, hit_many, bare_many] = times.map(|times| best(&times));
    (hit_few - bare_few, hit_many - bare_many)
}

fn scattered(service: &mut impl Measured, requests: &[Request], times: usize) -> f64 {
    let mut at = 1_u64;
    let began = Instant::now();
    for _ in 0..times {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        drive(service, &requests[(at >> 33) as usize % requests.len()], 1);
    }
    began.elapsed().as_secs_f64() * 1e9 / times as f64
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}
