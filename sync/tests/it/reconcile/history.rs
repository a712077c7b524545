//! Random histories with lost, late and repeated events, and with runs that end half-way (rules Y2, Y5, Y6): after a last
//! reconciliation the mirror is Clerk's state.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tower_clerk::testing::FakeOrganization;
use tower_clerk_sync::{Backfill, MirrorError, ReconcileMode, ReconcileOutcome, ReconcileReport};

use super::fire::{Fire, held, lose};
use crate::equal::{State, pool, tombstones};
use crate::random::Random;
use crate::site::Site;
use crate::support::each;

/// Longer than a lease.
const AFTER_A_CRASH: Duration = Duration::from_secs(121);

const ROUNDS: usize = 4;

/// A row as it may be in the mirror: id and columns.
type Shown = (String, Vec<Option<String>>);

/// An instance with a past.
struct History {
    site: Site,
    fire: Fire,
    /// Every row that Clerk has ever shown.
    ever: HashSet<Shown>,
    crashes: usize,
}

impl History {
    /// A hundred users and ten organizations.
    async fn new(url: &str, seed: u64) -> Self {
        let site = Site::new(url, &format!("history-{seed}.example.com")).await;
        site.fake.hold_webhooks();
        let organizations: Vec<String> = (0..10).map(|number| format!("organization-{number}")).collect();
        for slug in &organizations {
            site.fake.add_organization(FakeOrganization::new(slug));
        }
        let random = Random::new(seed);
        let fire = Fire { random, users: Vec::new(), organizations, is_out: false };
        let mut this = Self { site, fire, ever: HashSet::new(), crashes: 0 };
        for number in 0..100 {
            let user = this.fire.add_user(&this.site.fake);
            this.site.fake.add_member(&user, &this.fire.organizations[number % 10], "org:member");
        }
        this.note().await;
        this
    }

    async fn note(&mut self) {
        let state = self.site.drive(State::of_clerk(&self.site.client)).await;
        self.ever.extend(shown(state));
    }

    /// Changes Clerk's state, each change in a millisecond of its own.
    async fn change(&mut self, changes: usize) {
        for _ in 0..changes {
            self.fire.change(&self.site.fake);
            self.site.pass(Duration::from_millis(1)).await;
            self.note().await;
        }
    }

    /// Loses some events, and delivers about half of the others, some of them twice, in any order. The rest stays under way.
    async fn deliver(&mut self) {
        lose(&self.site.fake, &mut self.fire.random);
        let random = &mut self.fire.random;
        let mut ids = held(&self.site.fake);
        ids.retain(|_| random.is_one_in(2));
        let twice: Vec<String> = ids.iter().filter(|_| random.is_one_in(4)).cloned().collect();
        ids.extend(twice);
        ids.sort_by_cached_key(|_| random.next());
        for id in ids {
            self.site.drive(self.site.fake.deliver_webhooks([id])).await;
        }
    }

    /// Runs something that may end half-way, as by a crash: at any poll, also within a transaction.
    async fn crash<T>(&mut self, run: impl Future<Output = Result<T, MirrorError>>) {
        let moment = Duration::from_millis(self.fire.random.below(300) as u64);
        let crashed = self.site.drive(async {
            tokio::select! {
                biased;
                done = run => done.map(|_| false),
                () = tokio::time::sleep(moment) => Ok(true),
            }
        });
        if crashed.await.unwrap() {
            self.crashes += 1;
            self.site.pass(AFTER_A_CRASH).await;
        }
    }

    async fn repair(&mut self) -> ReconcileReport {
        let run = self.site.reconcile(ReconcileMode::Repair).page_size(50).force(true);
        self.site.drive(run.run()).await.unwrap()
    }
}

fn shown(state: State) -> impl Iterator<Item = Shown> {
    state.users.into_iter().chain(state.organizations).chain(state.memberships)
}

/// Returns how many runs ended half-way.
async fn run(seed: u64, url: &str) -> usize {
    let mut history = History::new(url, seed).await;
    let (mirror, client) = (history.site.mirror.clone(), history.site.client.clone());
    let pool = pool(url);
    let instance = mirror.instance_id().unwrap().to_owned();
    let backfill = Backfill::new(mirror.clone(), client.clone()).page_size(20);
    history.crash(backfill.run()).await;
    history.change(5).await;
    history.site.drive(backfill.run()).await.unwrap();

    let mut deleted = BTreeSet::new();
    for round in 0..ROUNDS {
        history.change(12).await;
        history.deliver().await;
        history.site.pass(Duration::from_secs(2)).await;
        let reconcile = history.site.reconcile(ReconcileMode::Repair).page_size(20).force(true);
        history.crash(reconcile.run()).await;
        history.change(4).await;
        history.deliver().await;

        let rows = history.site.drive(State::of_mirror(&pool, &instance)).await;
        for row in shown(rows) {
            assert!(history.ever.contains(&row), "seed {seed}, round {round}: Clerk never had {row:?}");
        }
        let now_deleted = history.site.drive(tombstones(&pool, &instance)).await;
        let back: Vec<&String> = deleted.difference(&now_deleted).collect();
        assert!(back.is_empty(), "seed {seed}, round {round}: {back:?} are back after their deletion");
        deleted = now_deleted;
    }

    // Some of the rest never arrives, and the others very late.
    lose(&history.site.fake, &mut history.fire.random);
    history.site.drive(history.site.fake.deliver_webhooks_shuffled(seed)).await;
    history.site.pass(AFTER_A_CRASH).await;
    let report = history.repair().await;
    let is_done = matches!(report.outcome, ReconcileOutcome::Equal | ReconcileOutcome::Repaired);
    assert!(is_done, "seed {seed}: {report}");
    let rows = history.site.drive(State::of_mirror(&pool, &instance)).await;
    assert_eq!(rows, history.site.drive(State::of_clerk(&client)).await, "seed {seed}");
    history.site.drive(pool.close()).await;
    history.crashes
}

#[tokio::test(start_paused = true)]
async fn y6_whatever_was_lost_and_whichever_run_crashed_a_last_repair_ends_in_clerks_state() {
    // `SEEDS=20` for more of them, `SEED=7` to see one again.
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(1), |seed| seed..seed + 1);
    each(async |database| {
        let mut crashes = 0;
        for seed in seeds.clone() {
            crashes += run(seed, &database.url).await;
        }
        assert!(crashes > 0, "no run has ended half-way");
    })
    .await;
}
