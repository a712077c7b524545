//! Two runs at once (rule Y6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::sync::Notify;
use tower_clerk::backend::BackendClient;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeOrganization, FakeUser, Fault};
use tower_clerk::transport::{Transport, TransportFuture};
use tower_clerk_sync::{
    Backfill, Mirror, MirrorErrorKind, Reconcile, ReconcileMode, ReconcileOutcome, SyncStatus,
};

use crate::equal::{State, pool};
use crate::site::Site;
use crate::support::each;

/// A way to the stand-in on which one answer gets stuck.
#[derive(Clone)]
struct Slow {
    fake: FakeClerk,
    answers: Arc<AtomicUsize>,
    stuck_at: usize,
    is_stuck: Arc<Notify>,
    goes_on: Arc<Notify>,
}

impl Slow {
    fn new(fake: &FakeClerk, stuck_at: usize) -> Self {
        let (is_stuck, goes_on) = (Arc::default(), Arc::default());
        Self { fake: fake.clone(), answers: Arc::default(), stuck_at, is_stuck, goes_on }
    }

    fn client(&self, site: &Site) -> BackendClient {
        BackendClient::builder(site.fake.secret_key())
            .backend_url(site.fake.backend_url())
            .transport(self.clone())
            .clock(site.clock)
            .upstream_timeout(Duration::from_secs(600))
            .backend_rate(1_000_000, Duration::from_secs(1))
            .list_rate(1_000_000, Duration::from_secs(1))
            .build()
            .unwrap()
    }
}

impl Transport for Slow {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let answer = self.fake.send(request).await;
            if self.answers.fetch_add(1, Ordering::Relaxed) == self.stuck_at {
                self.is_stuck.notify_one();
                self.goes_on.notified().await;
            }
            answer
        })
    }
}

async fn filled(url: &str) -> Site {
    let site = Site::new(url, "clerk.example.com").await;
    site.fake.hold_webhooks();
    site.fake.add_organization(FakeOrganization::new("acme"));
    for number in 0..20 {
        let user = format!("user{number}@example.com");
        site.fake.add_user(FakeUser::new(&user));
        site.fake.add_member(&user, "acme", "org:member");
    }
    site.pass(Duration::from_secs(1)).await;
    site
}

/// The same database, an hour later.
async fn an_hour_later(site: &Site, url: &str) -> Mirror {
    let clock = tower_clerk::Clock::starting_at(site.clock.wall() + Duration::from_secs(3600));
    let instance = site.mirror.instance_id().unwrap();
    let mirror = Mirror::builder(url).instance(instance).clock(clock);
    let mirror = mirror.acquire_timeout(Duration::from_secs(24 * 60 * 60));
    site.drive(async { mirror.connect().await.unwrap() }).await
}

#[tokio::test(start_paused = true)]
async fn y6_a_second_run_leaves_while_another_one_is_at_work() {
    each(async |database| {
        let site = filled(&database.url).await;
        let slow = Slow::new(&site.fake, 3);
        let first = Backfill::new(site.mirror.clone(), slow.client(&site)).page_size(5);
        let mut first = Box::pin(first.run());
        site.drive(async {
            tokio::select! {
                _ = &mut first => panic!("it is stuck"),
                () = slow.is_stuck.notified() => {}
            }
        })
        .await;
        let second = site.reconcile(ReconcileMode::Repair);
        let error = site.drive(second.run()).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Busy, "{error}");
        // A report writes nothing, and needs no lease.
        site.report().await;
        slow.goes_on.notify_one();
        site.drive(first).await.unwrap();
        assert_eq!(site.repair().await.outcome, ReconcileOutcome::Equal);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_no_write_lands_of_a_run_that_was_stopped_beyond_its_lease() {
    each(async |database| {
        // Each of these answers leads to a write: pages of a backfill, and of a repair, and its deletions.
        for (is_backfill, stuck_at) in [(true, 3), (true, 5), (false, 4), (false, 6)] {
            let host = format!("stopped-{is_backfill}-{stuck_at}.example.com");
            let site = Site::new(&database.url, &host).await;
            site.fake.hold_webhooks();
            for number in 0..20 {
                site.fake.add_user(FakeUser::new(format!("user{number}@example.com")));
            }
            site.pass(Duration::from_secs(1)).await;
            let slow = Slow::new(&site.fake, stuck_at);
            let client = slow.client(&site);
            let mirror = site.mirror.clone();
            let mut stale: std::pin::Pin<Box<dyn Future<Output = Result<(), MirrorErrorKind>>>> =
                if is_backfill {
                    Box::pin(async move {
                        let run = Backfill::new(mirror, client).page_size(5);
                        run.run().await.map(drop).map_err(|error| error.kind())
                    })
                } else {
                    Box::pin(async move {
                        let run = Reconcile::new(mirror, client).mode(ReconcileMode::Repair).page_size(5);
                        run.run().await.map(drop).map_err(|error| error.kind())
                    })
                };
            site.drive(async {
                tokio::select! {
                    done = &mut stale => panic!("it is stuck: {done:?}"),
                    () = slow.is_stuck.notified() => {}
                }
            })
            .await;
            // It is polled no more: as stopped as a process can be. Another one takes over and does all of the work.
            for number in 0..20 {
                site.fake
                    .edit_user(&format!("user{number}@example.com"), |user| user.name("Ada", "Lovelace"));
            }
            let later = an_hour_later(&site, &database.url).await;
            let other = Reconcile::new(later, site.client.clone()).mode(ReconcileMode::Repair);
            let report = site.drive(other.run()).await.unwrap();
            assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
            let pool = pool(&database.url);
            let instance = site.mirror.instance_id().unwrap();
            let before = site.drive(State::of_mirror(&pool, instance)).await;
            let revisions = site.drive(revisions(&pool, instance)).await;
            slow.goes_on.notify_one();
            let kind = site.drive(stale).await.unwrap_err();
            assert_eq!(kind, MirrorErrorKind::Fenced);
            assert_eq!(site.drive(State::of_mirror(&pool, instance)).await, before);
            assert_eq!(site.drive(self::revisions(&pool, instance)).await, revisions);
            site.drive(pool.close()).await;
        }
    })
    .await;
}

/// A number that each write changes.
async fn revisions(pool: &sqlx::AnyPool, instance: &str) -> (i64, i64) {
    let sql = "SELECT CAST(SUM(revision) AS BIGINT), CAST(SUM(seen_at) AS BIGINT) FROM clerk_mirror_users WHERE instance_id = $1";
    sqlx::query_as(sql).bind(instance).fetch_one(pool).await.unwrap()
}

/// Runs until the answer that gets stuck. Then the run is polled no more: as stopped as a process can be.
async fn until_stuck<T: std::fmt::Debug>(
    site: &Site,
    slow: &Slow,
    run: &mut (impl Future<Output = T> + Unpin),
) {
    site.drive(async {
        tokio::select! {
            done = run => panic!("it is stuck: {done:?}"),
            () = slow.is_stuck.notified() => {}
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_no_report_lands_of_a_run_that_another_one_has_overtaken() {
    each(async |database| {
        for mode in [ReconcileMode::Repair, ReconcileMode::Report] {
            let host = format!("overtaken-{mode:?}.example.com").to_lowercase();
            let site = Site::new(&database.url, &host).await;
            site.fake.hold_webhooks();
            site.fake.add_user(FakeUser::new("jane@example.com"));
            site.pass(Duration::from_secs(1)).await;
            let slow = Slow::new(&site.fake, 4);
            let stale = Reconcile::new(site.mirror.clone(), slow.client(&site)).mode(mode);
            let mut stale = Box::pin(stale.run());
            until_stuck(&site, &slow, &mut stale).await;
            site.pass(Duration::from_secs(2)).await;
            let later = an_hour_later(&site, &database.url).await;
            let other = Reconcile::new(later.clone(), site.client.clone()).mode(ReconcileMode::Repair);
            let report = site.drive(other.run()).await.unwrap();
            // Clerk refuses the key by now, so that the stale run gives up, which is a report as well.
            for endpoint in
                [Endpoint::Users, Endpoint::UsersCount, Endpoint::Organizations, Endpoint::Memberships]
            {
                site.fake.script_always(endpoint, Fault::Status(401));
            }
            slow.goes_on.notify_one();
            let ended = site.drive(stale).await;
            match mode {
                ReconcileMode::Repair => assert_eq!(ended.unwrap_err().kind(), MirrorErrorKind::Fenced),
                _ => assert_eq!(ended.unwrap().outcome, ReconcileOutcome::Aborted),
            }
            let status = site.drive(SyncStatus::read(&later)).await.unwrap();
            let kept = &status.last_reconcile.as_ref().unwrap().report;
            assert_eq!(kept, &serde_json::to_value(&report).unwrap(), "{mode:?}");
            assert_eq!(kept["mode"], "repair");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_renewal_that_fails_is_no_end_of_a_run() {
    each(async |database| {
        let site = filled(&database.url).await;
        let slow = Slow::new(&site.fake, 4);
        let run = Reconcile::new(site.mirror.clone(), slow.client(&site)).mode(ReconcileMode::Repair);
        let mut run = Box::pin(run.run());
        until_stuck(&site, &slow, &mut run).await;
        let pool = pool(&database.url);
        let rename = async |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            site.drive(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool)).await.unwrap();
        };
        rename("clerk_mirror_leases", "away").await;
        // A renewal is due, and has the time to fail.
        site.pass(Duration::from_secs(31)).await;
        site.drive(async {
            tokio::select! {
                ended = &mut run => panic!("it has ended: {ended:?}"),
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        })
        .await;
        rename("away", "clerk_mirror_leases").await;
        slow.goes_on.notify_one();
        let report = site.drive(run).await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
        site.drive(pool.close()).await;
    })
    .await;
}
