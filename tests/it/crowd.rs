//! Many users who come again and again, each at a pace of their own, on the driven clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::testing::{FakeClerk, FakeUser};

use crate::common::{World, ask, basic};

/// A number generator with a seed, so that a run can be had again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A duration from one to another.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_nanos()).unwrap();
        least + Duration::from_nanos(self.next() % (span + 1))
    }
}

/// Somebody with a password.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) password: String,
    /// Whose requests are for an organization.
    pub(crate) organization: Option<&'static str>,
}

/// Adds users to a stand-in, no two the same. Every third is a member of `acme`, and comes for it.
pub(crate) fn people(fake: &FakeClerk, count: usize) -> Vec<Person> {
    (0..count)
        .map(|at| {
            let (name, password) = (format!("user{at}@example.com"), format!("the password of {at}"));
            fake.add_user(FakeUser::new(&name).password(&password));
            let organization = (at % 3 == 0).then_some("acme");
            if let Some(organization) = organization {
                fake.add_member(&name, organization, "org:member");
            }
            Person { name, password, organization }
        })
        .collect()
}

/// One request of one of them.
pub(crate) async fn come(world: &World, person: &Person) -> Response<String> {
    let mut layer = world.layer();
    if let Some(organization) = person.organization {
        layer = layer.organization(organization).unwrap();
    }
    ask(&layer, basic((&person.name, &person.password))).await
}

/// What one request was answered, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    #[expect(dead_code, reason = "shown where an assertion fails")]
    pub(crate) person: usize,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) status: u16,
    #[expect(dead_code, reason = "shown where an assertion fails")]
    pub(crate) code: &'static str,
    /// After a 200 that this person had before.
    pub(crate) known: bool,
}

/// All answers, in the order they came.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<Answer>>>);

impl Diary {
    pub(crate) fn write(&self, answer: Answer) {
        self.0.lock().unwrap().push(answer);
    }

    pub(crate) fn all(&self) -> Vec<Answer> {
        self.0.lock().unwrap().clone()
    }

    /// How many there were of each status.
    pub(crate) fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        self.all().iter().for_each(|answer| *statuses.entry(answer.status).or_default() += 1);
        statuses
    }
}

/// Lets people come until an instant, each after a pause from `pace.0` to `pace.1`. The first comes at once, the
/// others a `spread` after each other. Whoever isn't let in the first time comes back as told.
pub(crate) fn live(
    world: &World,
    people: &[Person],
    pace: (Duration, Duration),
    spread: Duration,
    until: Instant,
    diary: &Diary,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (at, person) in people.iter().enumerate() {
        let (world, person, diary) = (world.clone(), person.clone(), diary.clone());
        tasks.spawn(async move {
            let mut dice = Dice::new(at as u64 + 1);
            tokio::time::sleep(spread * u32::try_from(at).unwrap()).await;
            let mut known = false;
            while Instant::now() < until {
                let start = Instant::now();
                let response = come(&world, &person).await;
                let (status, code) = (response.status().as_u16(), crate::common::code(&response));
                diary.write(Answer { person: at, at: start, took: start.elapsed(), status, code, known });
                known |= status == 200;
                let told = response.headers().get("retry-after").filter(|_| !known);
                let pause = match told {
                    Some(seconds) => Duration::from_secs(seconds.to_str().unwrap().parse().unwrap()),
                    None => dice.between(pace.0, pace.1),
                };
                tokio::time::sleep(pause).await;
            }
        });
    }
    tasks
}
