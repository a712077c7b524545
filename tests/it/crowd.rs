//! Many users that send requests repeatedly, each at its own pace, on the paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::testing::{FakeClerk, FakeUser};

use crate::common::{World, ask, basic};

/// A seeded random number generator, so that every run is the same.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a duration between `least` and `most`, both inclusive.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_nanos()).unwrap();
        least + Duration::from_nanos(self.next() % (span + 1))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    /// The organization of the layer that the user's requests pass.
    pub(crate) organization: Option<&'static str>,
}

/// Adds users to the stand-in. Every third is a member of `acme` and sends requests for it.
pub(crate) fn add_users(fake: &FakeClerk, count: usize) -> Vec<User> {
    (0..count)
        .map(|at| {
            let (name, password) = (format!("user{at}@example.com"), format!("the password of {at}"));
            fake.add_user(FakeUser::new(&name).password(&password));
            let organization = (at % 3 == 0).then_some("acme");
            if let Some(organization) = organization {
                fake.add_member(&name, organization, "org:member");
            }
            User { name, password, organization }
        })
        .collect()
}

/// Sends one request with the user's credentials, for the user's organization.
pub(crate) async fn request_as(world: &World, user: &User) -> Response<String> {
    let mut layer = world.layer();
    if let Some(organization) = user.organization {
        layer = layer.organization(organization).unwrap();
    }
    ask(&layer, basic((&user.name, &user.password))).await
}

/// How and when one request was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    #[expect(dead_code, reason = "shown when an assertion fails")]
    pub(crate) user: usize,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) status: u16,
    #[expect(dead_code, reason = "shown when an assertion fails")]
    pub(crate) code: &'static str,
    /// Whether the user was answered 200 before.
    pub(crate) known: bool,
}

/// All answers, in the order in which they arrived.
#[derive(Clone, Default)]
pub(crate) struct AnswerLog(Arc<Mutex<Vec<Answer>>>);

impl AnswerLog {
    pub(crate) fn push(&self, answer: Answer) {
        self.0.lock().unwrap().push(answer);
    }

    pub(crate) fn all(&self) -> Vec<Answer> {
        self.0.lock().unwrap().clone()
    }

    /// The number of answers by status.
    pub(crate) fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        self.all().iter().for_each(|answer| *statuses.entry(answer.status).or_default() += 1);
        statuses
    }
}

/// Sends requests as each of the users until `until`, with pauses between `pace.0` and `pace.1`. The first user starts
/// at once, each further one `spread` later. Until its first 200, a user waits for the `Retry-After` of each answer.
pub(crate) fn run_users(
    world: &World,
    users: &[User],
    pace: (Duration, Duration),
    spread: Duration,
    until: Instant,
    log: &AnswerLog,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (at, user) in users.iter().enumerate() {
        let (world, user, log) = (world.clone(), user.clone(), log.clone());
        tasks.spawn(async move {
            let mut rng = Rng::new(at as u64 + 1);
            tokio::time::sleep(spread * u32::try_from(at).unwrap()).await;
            let mut known = false;
            while Instant::now() < until {
                let start = Instant::now();
                let response = request_as(&world, &user).await;
                let (status, code) = (response.status().as_u16(), crate::common::code(&response));
                log.push(Answer { user: at, at: start, took: start.elapsed(), status, code, known });
                known |= status == 200;
                let retry_after = response.headers().get("retry-after").filter(|_| !known);
                let pause = match retry_after {
                    Some(seconds) => Duration::from_secs(seconds.to_str().unwrap().parse().unwrap()),
                    None => rng.between(pace.0, pace.1),
                };
                tokio::time::sleep(pause).await;
            }
        });
    }
    tasks
}
