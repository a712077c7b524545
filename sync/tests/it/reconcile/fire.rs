//! Reconciliations while Clerk's state changes (rule Y6): whatever happens in between, nothing live is deleted.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tower_clerk::testing::{DeliveryStatus, Endpoint, FakeClerk, FakeOrganization, FakeUser};
use tower_clerk_sync::{ReconcileMode, ReconcileOutcome};

use crate::equal::{State, pool, tombstones};
use crate::random::Random;
use crate::site::Site;
use crate::support::Database;

const SECOND: Duration = Duration::from_secs(1);

const ORGANIZATIONS: [&str; 3] = ["acme", "globex", "initech"];

/// The source of the changes.
pub(super) struct Fire {
    pub(super) random: Random,
    /// The users that Clerk has.
    pub(super) users: Vec<String>,
    /// The slugs of organizations, which may be deleted by now.
    pub(super) organizations: Vec<String>,
    pub(super) is_out: bool,
}

impl Fire {
    pub(super) fn add_user(&mut self, fake: &FakeClerk) -> String {
        let id = fake.add_user(FakeUser::new(format!("user{}@example.com", self.random.next())));
        self.users.push(id.clone());
        id
    }

    /// Changes something at Clerk.
    pub(super) fn change(&mut self, fake: &FakeClerk) {
        let random = &mut self.random;
        let organization = &*self.organizations[random.below(self.organizations.len())];
        let organization = fake.organization_id(organization).map(|_| organization);
        let at = random.below(self.users.len());
        let Some(user) = self.users.get(at).cloned() else { return drop(self.add_user(fake)) };
        match (random.below(9), organization) {
            (0 | 1, _) => drop(self.add_user(fake)),
            (2 | 3, _) => {
                self.users.swap_remove(at);
                fake.delete_user(&user);
            }
            (4, _) => fake.edit_user(&user, |it| it.name("Edited", random.next().to_string())),
            (5, _) => fake.edit_user_silently(&user, |it| it.name("Silent", random.next().to_string())),
            (6, Some(organization)) => {
                let role = if random.is_one_in(2) { "org:admin" } else { "org:member" };
                fake.add_member(&user, organization, role);
            }
            (7, Some(organization)) => fake.remove_member(&user, organization),
            (8, Some(organization)) if random.is_one_in(6) => fake.delete_organization(organization),
            _ => {}
        }
    }
}

/// Makes changes after some of the answers of a run, and delivers some of their events at once.
fn set_on_fire(fake: &FakeClerk, fire: &Arc<Mutex<Fire>>) {
    const LISTS: [Endpoint; 7] = [
        Endpoint::Users,
        Endpoint::UsersCount,
        Endpoint::User,
        Endpoint::Organizations,
        Endpoint::OrganizationMembers,
        Endpoint::Memberships,
        Endpoint::Instance,
    ];
    for endpoint in LISTS {
        for answer in 1..=8 {
            if !fire.lock().unwrap().random.is_one_in(4) {
                continue;
            }
            let fire = Arc::clone(fire);
            fake.after_answer(endpoint, answer, move |fake| {
                let mut fire = fire.lock().unwrap();
                if fire.is_out {
                    return;
                }
                fire.change(fake);
                if fire.random.is_one_in(2) {
                    let (fake, held) = (fake.clone(), held(fake));
                    tokio::spawn(async move { fake.deliver_webhooks(held).await });
                }
            });
        }
    }
}

/// The ids of the events that are held.
pub(super) fn held(fake: &FakeClerk) -> Vec<String> {
    let deliveries = fake.deliveries();
    let held = deliveries.iter().filter(|delivery| delivery.status() == DeliveryStatus::Held);
    held.map(|delivery| delivery.id().to_owned()).collect()
}

/// Loses some of the events that are held.
pub(super) fn lose(fake: &FakeClerk, random: &mut Random) {
    for id in held(fake) {
        if random.is_one_in(3) {
            fake.drop_webhook(&id);
        }
    }
}

/// A repair that ends after one of its calls, like a process that is killed. Its lease ends two minutes later.
async fn crash(site: &Site, random: &mut Random) {
    let endpoints = [Endpoint::Users, Endpoint::UsersCount, Endpoint::Organizations, Endpoint::Memberships];
    let (endpoint, answer) = (endpoints[random.below(4)], 1 + random.below(4));
    let killed = Arc::new(Notify::new());
    site.fake.after_answer(endpoint, answer, {
        let killed = Arc::clone(&killed);
        move |_| killed.notify_one()
    });
    let run = site.reconcile(ReconcileMode::Repair);
    site.drive(async {
        tokio::select! {
            biased;
            () = killed.notified() => {}
            done = run.run() => drop(done.unwrap()),
        }
    })
    .await;
    site.pass(130 * SECOND).await;
}

async fn run(seed: u64, url: &str) {
    let site = Site::new(url, &format!("seed-{seed}.example.com")).await;
    let organizations = ORGANIZATIONS.map(str::to_owned).to_vec();
    let fire = Arc::new(Mutex::new(Fire {
        random: Random::new(seed),
        users: Vec::new(),
        organizations,
        is_out: false,
    }));
    let fake = &site.fake;
    fake.hold_webhooks();
    {
        let mut fire = fire.lock().unwrap();
        ORGANIZATIONS.iter().for_each(|slug| drop(fake.add_organization(FakeOrganization::new(*slug))));
        for _ in 0..12 + fire.random.below(8) {
            let user = fire.add_user(fake);
            fake.add_member(&user, ORGANIZATIONS[fire.random.below(3)], "org:member");
        }
    }
    site.pass(SECOND).await;
    site.backfill().await;
    {
        let mut fire = fire.lock().unwrap();
        for _ in 0..fire.random.below(8) {
            fire.change(fake);
        }
        lose(fake, &mut fire.random);
    }
    site.pass(SECOND).await;

    let mut random = Random::new(seed);
    if random.is_one_in(3) {
        crash(&site, &mut random).await;
    }
    let page_size = 3 + u32::try_from(fire.lock().unwrap().random.below(5)).unwrap();
    set_on_fire(fake, &fire);
    let reconcile = site.reconcile(ReconcileMode::Repair).page_size(page_size);
    let report = site.drive(reconcile.run()).await.unwrap();
    fire.lock().unwrap().is_out = true;
    let pool = pool(url);
    let instance = site.mirror.instance_id().unwrap();
    let deleted = site.drive(tombstones(&pool, instance)).await;
    let clerk = site.drive(State::of_clerk(&site.client)).await;
    let live: BTreeSet<String> = [&clerk.users, &clerk.organizations, &clerk.memberships]
        .into_iter()
        .flat_map(|rows| rows.keys().cloned())
        .collect();
    let wrong: Vec<&String> = deleted.intersection(&live).collect();
    assert!(wrong.is_empty(), "seed {seed}: {wrong:?} were deleted: {report}");

    // Some of the events arrive late, and the others never.
    lose(fake, &mut fire.lock().unwrap().random);
    end(&site, seed, &pool).await;
    site.drive(pool.close()).await;
}

/// After a last run, the mirror is Clerk's state.
async fn end(site: &Site, seed: u64, pool: &sqlx::AnyPool) {
    site.drive(site.fake.deliver_webhooks_shuffled(seed)).await;
    site.pass(120 * SECOND).await;
    let report = site.drive(site.reconcile(ReconcileMode::Repair).force(true).run()).await.unwrap();
    assert!(
        matches!(report.outcome, ReconcileOutcome::Equal | ReconcileOutcome::Repaired),
        "seed {seed}: {report}"
    );
    let mirror = site.drive(State::of_mirror(pool, site.mirror.instance_id().unwrap())).await;
    assert_eq!(mirror, site.drive(State::of_clerk(&site.client)).await, "seed {seed}");
}

/// The seeds of a test: `SEEDS=1000` for a night's run, `SEED=7` to see one again.
fn seeds(by_default: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    number("SEED").map_or(0..number("SEEDS").unwrap_or(by_default), |seed| seed..seed + 1)
}

#[tokio::test(start_paused = true)]
async fn y6_nothing_live_is_deleted_while_everything_changes() {
    // A file in memory, where there is one: each transaction of these runs is synchronous.
    let folder = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let file = folder.join(format!("clerk-sync-fire-{}.db", std::process::id()));
    let url = format!("sqlite://{}", file.display());
    for seed in seeds(50) {
        run(seed, &url).await;
    }
    for end in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}

#[tokio::test(start_paused = true)]
async fn y6_nothing_live_is_deleted_while_everything_changes_on_postgresql() {
    let Some(database) = Database::postgres().await else { return };
    for seed in seeds(10) {
        run(seed, &database.url).await;
    }
}
