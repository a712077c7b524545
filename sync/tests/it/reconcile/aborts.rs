//! When a reconciliation gives up (rule Y6): with a reason in words, and without a deletion.

use std::time::Duration;

use tower_clerk::backend::BackendClient;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeOrganization, FakeUser, Fault, RetryAfter};
use tower_clerk_sync::{Mirror, Reconcile, ReconcileMode, ReconcileOutcome, ReconcileReport};

use crate::equal::{pool, tombstones};
use crate::site::{self, Site};
use crate::support::each;

const SECOND: Duration = Duration::from_secs(1);

/// Users in the mirror and at Clerk, of whom `gone` have been deleted without an event, and a membership each.
async fn filled(url: &str, users: usize, gone: usize) -> Site {
    let site = Site::new(url, "clerk.example.com").await;
    site.fake.hold_webhooks();
    site.fake.add_organization(FakeOrganization::new("acme"));
    for number in 0..users {
        let user = format!("user{number}@example.com");
        site.fake.add_user(FakeUser::new(&user));
        site.fake.add_member(&user, "acme", "org:member");
        site.pass(Duration::from_millis(10)).await;
    }
    site.pass(SECOND).await;
    site.drive(tower_clerk_sync::Backfill::new(site.mirror.clone(), site.client.clone()).run())
        .await
        .unwrap();
    site.pass(SECOND).await;
    for number in 0..gone {
        site.fake.delete_user(&format!("user{number}@example.com"));
    }
    site.pass(SECOND).await;
    site
}

/// A repair of pages of 500 entries.
fn repair(site: &Site) -> Reconcile {
    site.reconcile(ReconcileMode::Repair).page_size(500)
}

async fn assert_aborted(site: &Site, url: &str, report: &ReconcileReport, words: &str) {
    assert_eq!(report.outcome, ReconcileOutcome::Aborted, "{report}");
    assert_eq!(report.outcome.exit_code(), 1);
    let reason = report.reason.as_deref().unwrap();
    assert!(reason.contains(words), "{reason}");
    let pool = pool(url);
    let deleted = site.drive(tombstones(&pool, site.mirror.instance_id().unwrap())).await;
    assert!(deleted.is_empty(), "{deleted:?}");
    site.drive(pool.close()).await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_wrong_key_aborts() {
    each(async |database| {
        let site = filled(&database.url, 20, 2).await;
        let client = BackendClient::builder("sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            .backend_url(site.fake.backend_url())
            .transport(site.fake.clone())
            .clock(site.clock)
            .build()
            .unwrap();
        let reconcile = Reconcile::new(site.mirror.clone(), client).mode(ReconcileMode::Repair);
        let report = site.drive(reconcile.run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "doesn't accept the secret key").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_the_key_of_another_instance_aborts() {
    each(async |database| {
        let site = filled(&database.url, 20, 0).await;
        let other =
            FakeClerk::builder().empty().no_rate_limit().host("other.example.com").clock(site.clock).build();
        let client = site::client(&other, site.clock);
        for mode in [ReconcileMode::Report, ReconcileMode::Repair] {
            let reconcile = Reconcile::new(site.mirror.clone(), client.clone()).mode(mode).force(true);
            let report = site.drive(reconcile.run()).await.unwrap();
            assert_aborted(&site, &database.url, &report, site.mirror.instance_id().unwrap()).await;
        }
        // The database tells the instance, too.
        let unnamed = async { Mirror::builder(&database.url).clock(site.clock).connect().await.unwrap() };
        let reconcile = Reconcile::new(site.drive(unnamed).await, client).mode(ReconcileMode::Repair);
        let report = site.drive(reconcile.run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, site.mirror.instance_id().unwrap()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_an_empty_list_aborts_unless_forced() {
    each(async |database| {
        let site = filled(&database.url, 9, 9).await;
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "no user at all").await;
        // The instance is empty indeed.
        let report = site.drive(repair(&site).force(true).run()).await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
        assert_eq!((report.users.extra, report.users.after, report.memberships.after), (9, 0, 0), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_list_that_is_twice_shorter_than_clerks_count_aborts_unless_forced() {
    each(async |database| {
        for short in [Endpoint::Users, Endpoint::Organizations, Endpoint::Memberships] {
            let site = filled(&database.url, 20, 0).await;
            site.fake.script_always(short, Fault::Short(0));
            let report = site.drive(repair(&site).run()).await.unwrap();
            assert_aborted(&site, &database.url, &report, "in two attempts").await;
            // Forced, it still asks by id, and the answers can't be right.
            site.drive(repair(&site).force(true).run()).await.unwrap();
            let pool = pool(&database.url);
            let deleted = site.drive(tombstones(&pool, site.mirror.instance_id().unwrap())).await;
            assert!(deleted.is_empty(), "{short:?}: {deleted:?}");
            site.drive(pool.close()).await;
            site.fake.clear_script(short);
            return_to_empty(&site, &database.url).await;
        }
    })
    .await;
}

/// Empties the tables, for the next round on the same database.
async fn return_to_empty(site: &Site, url: &str) {
    let pool = pool(url);
    for table in ["users", "organizations", "memberships", "progress"] {
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM clerk_mirror_{table}"));
        site.drive(sqlx::query(sql).execute(&pool)).await.unwrap();
    }
    site.drive(pool.close()).await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_list_that_is_shorter_only_once_is_read_again() {
    each(async |database| {
        let site = filled(&database.url, 20, 2).await;
        // Both pages of the first walk.
        site.fake.script_times(Endpoint::Users, 2, Fault::Short(3));
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
        assert_eq!((report.users.at_clerk, report.users.extra), (18, 2), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_confirmation_that_returns_ten_of_a_hundred_is_void_even_if_forced() {
    each(async |database| {
        let site = filled(&database.url, 150, 0).await;
        // Both walks of the scan show one user, so that 149 are candidates who are there. Each confirmation shows ten.
        site.fake.script_times(Endpoint::Users, 4, Fault::Short(1));
        site.fake.script_times(Endpoint::Users, 100, Fault::Short(10));
        let report = site.drive(repair(&site).force(true).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "can't be right").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_more_deletions_than_a_hundredth_and_than_ten_abort_unless_forced() {
    each(async |database| {
        let site = filled(&database.url, 30, 11).await;
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "11 rows of kind user").await;
        // A report tells them, and isn't aborted.
        let report = site.report().await;
        assert_eq!(
            (report.outcome, report.users.extra),
            (ReconcileOutcome::DifferencesRemain, 11),
            "{report}"
        );
        let report = site.drive(repair(&site).force(true).run()).await.unwrap();
        assert_eq!((report.outcome, report.users.extra), (ReconcileOutcome::Repaired, 11), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_storm_of_429_aborts() {
    each(async |database| {
        let site = filled(&database.url, 20, 2).await;
        site.fake.script_always(Endpoint::Users, Fault::RateLimited { retry_after: RetryAfter::Seconds(1) });
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "quota of calls to the Backend API is spent").await;
        site.fake.clear_script(Endpoint::Users);
        // In the middle: the scans are done, and the confirmations are refused.
        let fake = site.fake.clone();
        site.fake.after_answer(Endpoint::Memberships, 1, move |_| {
            fake.script_always(Endpoint::Users, Fault::RateLimited { retry_after: RetryAfter::Seconds(1) });
        });
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "quota of calls to the Backend API is spent").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_an_outage_between_the_confirmations_aborts() {
    each(async |database| {
        let site = filled(&database.url, 20, 2).await;
        let fake = site.fake.clone();
        site.fake.after_answer(Endpoint::Memberships, 1, move |clerk| {
            // The first confirmation is answered.
            clerk.after_answer(Endpoint::Users, 1, move |_| {
                fake.script_always(Endpoint::Users, Fault::Status(503));
            });
        });
        let report = site.drive(repair(&site).run()).await.unwrap();
        assert_aborted(&site, &database.url, &report, "didn't answer").await;
    })
    .await;
}
