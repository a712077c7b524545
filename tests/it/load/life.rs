//! A busy service lives with Clerk's limits, and nobody notices (rules P1, K3, K12).

use std::time::Duration;

use crate::common::World;
use crate::crowd::{Diary, live, people};
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, Fault};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const WINDOW: Duration = Duration::from_secs(10);

/// A way to live: how many, how often they come, and how long a token is good for.
struct Life {
    users: usize,
    hours: u32,
    pace: (Duration, Duration),
    token_life: Duration,
    session_ttl: Duration,
}

impl Life {
    /// Lives it, and holds it against what must be true of every such life.
    async fn live(self) {
        let Self { users, hours, pace, token_life, session_ttl } = self;
        let world = World::with(
            |fake| fake.token_life(token_life),
            |engine| engine.session_ttl(session_ttl).jitter_seed(3),
        );
        let people = people(&world.fake, users);
        // Clerk takes its time, so that whoever waits for it is seen to.
        world.fake.script_always(Endpoint::SignIns, Fault::Delay(Duration::from_millis(400)));
        world.fake.script_always(Endpoint::Tokens, Fault::Delay(Duration::from_millis(150)));
        let (start, real) = (world.clock.now(), std::time::Instant::now());
        let (diary, end) = (Diary::default(), start + HOUR * hours);
        let tasks = live(&world, &people, pace, Duration::from_millis(2_500), end, &diary);

        // Once in a while somebody looks at the engine.
        let settled = start + Duration::from_millis(2_500) * u32::try_from(users).unwrap() + MINUTE;
        let quiet_tasks = users + 4;
        let mut look = settled;
        while look < end {
            tokio::time::sleep_until(look).await;
            let stats = world.clerk.stats();
            assert_eq!(stats.sessions, users as u64, "one session each");
            assert!(stats.sign_in_flights + stats.sign_in_queue <= 10, "{stats:?}");
            assert!(stats.mint_flights <= 10, "{stats:?}");
            assert!(stats.ending <= 5, "{stats:?}");
            assert_eq!((stats.denials, stats.attempts, stats.not_ended), (0, 0, 0), "{stats:?}");
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
            look += Duration::from_secs(61);
        }
        tasks.join_all().await;

        let answers = diary.all();
        let known: Vec<_> = answers.iter().filter(|answer| answer.known).collect();
        let waited: Vec<_> = known.iter().filter(|answer| !answer.took.is_zero()).collect();
        assert!(known.iter().all(|answer| answer.status == 200), "{:?}", diary.statuses());
        assert!(waited.is_empty(), "{} of {} have waited: {:?}", waited.len(), known.len(), waited.first());
        assert!(!answers.iter().any(|answer| answer.status == 401), "{:?}", diary.statuses());
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
async fn k3_a_hundred_users_live_for_two_hours_and_none_waits_after_the_first_request() {
    let life = Life {
        users: 100,
        hours: 2,
        pace: (Duration::from_secs(20), Duration::from_secs(40)),
        token_life: 10 * MINUTE,
        session_ttl: HOUR,
    };
    life.live().await;
}

/// Tokens of 60 s are renewed on use between the 40th and the 50th second: whoever comes every few seconds never waits.
#[tokio::test(start_paused = true)]
async fn k3_busy_users_never_wait_for_tokens_of_a_minute_either() {
    let life = Life {
        users: 15,
        hours: 1,
        pace: (Duration::from_secs(2), Duration::from_secs(4)),
        token_life: MINUTE,
        session_ttl: 15 * MINUTE,
    };
    life.live().await;
}
