//! A busy service stays within Clerk's limits without delays for its users (rules P1, K3, K12).

use std::time::Duration;

use crate::common::World;
use crate::crowd::{AnswerLog, add_users, run_users};
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, Fault};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const WINDOW: Duration = Duration::from_secs(10);

/// The parameters of a long run.
struct Workload {
    users: usize,
    hours: u32,
    /// The shortest and the longest pause between two requests of a user.
    pace: (Duration, Duration),
    token_life: Duration,
    session_ttl: Duration,
}

impl Workload {
    /// Runs the workload, and checks the invariants that hold for every workload.
    async fn run(self) {
        let Self { users, hours, pace, token_life, session_ttl } = self;
        let world = World::with(
            |fake| fake.token_life(token_life),
            |engine| engine.session_ttl(session_ttl).jitter_seed(3),
        );
        let accounts = add_users(&world.fake, users);
        // Clerk answers slowly, so that a request that waits for it is noticed below.
        world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(400)));
        world.fake.script_always(Endpoint::Tokens, Fault::Delay(Duration::from_millis(150)));
        let (start, real) = (world.clock.now(), std::time::Instant::now());
        let (log, end) = (AnswerLog::default(), start + HOUR * hours);
        let tasks = run_users(&world, &accounts, pace, Duration::from_millis(2_500), end, &log);

        // Samples the engine's statistics every 61 s, once all users have signed in.
        let all_signed_in = start + Duration::from_millis(2_500) * u32::try_from(users).unwrap() + MINUTE;
        let quiet_tasks = users + 4;
        let mut sample = all_signed_in;
        while sample < end {
            tokio::time::sleep_until(sample).await;
            let stats = world.clerk.stats();
            assert_eq!(stats.sessions, users as u64, "one session each");
            assert!(stats.sign_in_flights + stats.sign_in_queue <= 10, "{stats:?}");
            assert!(stats.mint_flights <= 10, "{stats:?}");
            assert!(stats.ending <= 5, "{stats:?}");
            assert_eq!((stats.denials, stats.failing_subjects, stats.not_ended), (0, 0, 0), "{stats:?}");
            assert_eq!(stats.trusted_credentials, users as u64);
            assert_eq!(
                (stats.sign_in_circuit, stats.mint_circuit),
                (CircuitState::Closed, CircuitState::Closed)
            );
            let live = world.fake.live_sessions();
            assert!(
                (users..=users + stats.sign_in_flights + stats.ending + 1).contains(&live),
                "{live} live sessions at Clerk for {users} users: {stats:?}"
            );
            let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            assert!(alive <= quiet_tasks + 20, "{alive} tasks");
            sample += Duration::from_secs(61);
        }
        tasks.join_all().await;

        let answers = log.all();
        let known: Vec<_> = answers.iter().filter(|answer| answer.known).collect();
        let waited: Vec<_> = known.iter().filter(|answer| !answer.took.is_zero()).collect();
        assert!(known.iter().all(|answer| answer.status == 200), "{:?}", log.statuses());
        assert!(waited.is_empty(), "{} of {} waited: {:?}", waited.len(), known.len(), waited.first());
        assert!(!answers.iter().any(|answer| answer.status == 401), "{:?}", log.statuses());
        assert_eq!(world.clerk.stats().total(), answers.len() as u64, "outcomes add up to requests");

        let sign_ins = world.fake.count(Endpoint::SignIns);
        let renewals = (end - start).as_secs_f64() / (0.8 * session_ttl.as_secs_f64());
        assert!(sign_ins as f64 <= users as f64 * (1.0 + renewals), "{sign_ins} sign-ins");
        assert!(world.fake.max_in_window(Endpoint::SignIns, WINDOW) <= 5);
        let refused = world.fake.requests_to(Endpoint::SignIns);
        assert!(!refused.iter().any(|request| request.status().is_some_and(|it| it == 429)));
        println!(
            "{users} users for {hours} h: {} requests, {sign_ins} sign-ins, {} tokens, {:?} of real time",
            answers.len(),
            world.fake.count(Endpoint::Tokens),
            real.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn k3_a_hundred_users_wait_only_at_their_first_request_within_two_hours() {
    let workload = Workload {
        users: 100,
        hours: 2,
        pace: (Duration::from_secs(20), Duration::from_secs(40)),
        token_life: 10 * MINUTE,
        session_ttl: HOUR,
    };
    workload.run().await;
}

/// Tokens of 60 s are renewed on use between the 40th and the 50th second, so users that send a request every few
/// seconds never wait for one.
#[tokio::test(start_paused = true)]
async fn k3_busy_users_never_wait_for_one_minute_tokens() {
    let workload = Workload {
        users: 15,
        hours: 1,
        pace: (Duration::from_secs(2), Duration::from_secs(4)),
        token_life: MINUTE,
        session_ttl: 15 * MINUTE,
    };
    workload.run().await;
}
