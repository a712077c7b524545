//! The differences that a reconciliation finds and repairs (rule Y6).

use std::time::Duration;

use tower_clerk::testing::{FakeOrganization, FakeUser};
use tower_clerk_sync::{ReconcileMode, ReconcileOutcome};

use crate::equal::{State, pool};
use crate::site::Site;
use crate::support::each;

const SECOND: Duration = Duration::from_secs(1);

/// Twenty users, two organizations, and ten memberships, in the mirror.
async fn filled(url: &str) -> Site {
    let site = Site::new(url, "clerk.example.com").await;
    site.fake.hold_webhooks();
    for organization in ["acme", "globex"] {
        site.fake.add_organization(FakeOrganization::new(organization));
    }
    for number in 0..20 {
        let user = format!("user{number}@example.com");
        site.fake.add_user(FakeUser::new(&user));
        if number % 2 == 0 {
            let organization = if number % 4 == 0 { "acme" } else { "globex" };
            site.fake.add_member(&user, organization, "org:member");
        }
        site.pass(SECOND).await;
    }
    site.backfill().await;
    site.pass(SECOND).await;
    site
}

/// Differences of each kind, none of which an event tells.
fn differ(site: &Site) {
    let fake = &site.fake;
    fake.add_user(FakeUser::new("new@example.com"));
    fake.delete_user("user1@example.com");
    fake.edit_user("user2@example.com", |user| user.name("Grace", "Hopper"));
    fake.edit_user_silently("user3@example.com", |user| user.name("Ada", "Lovelace"));
    fake.remove_member("user4@example.com", "acme");
    fake.add_member("user5@example.com", "acme", "org:member");
    fake.add_member("user8@example.com", "acme", "org:admin");
    fake.delete_organization("globex");
}

#[tokio::test(start_paused = true)]
async fn y6_a_report_counts_each_difference_and_changes_nothing() {
    each(async |database| {
        let site = filled(&database.url).await;
        assert_eq!(site.report().await.outcome, ReconcileOutcome::Equal);
        let pool = pool(&database.url);
        let instance = site.mirror.instance_id().unwrap();
        let before = site.drive(State::of_mirror(&pool, instance)).await;
        differ(&site);
        site.pass(SECOND).await;
        let report = site.report().await;
        assert_eq!(report.outcome, ReconcileOutcome::DifferencesRemain, "{report}");
        assert_eq!(report.outcome.exit_code(), 3);
        let users = &report.users;
        assert_eq!((users.at_clerk, users.before, users.after), (20, 20, 20), "{report}");
        assert_eq!((users.missing, users.extra, users.stale, users.remaining), (1, 1, 2, 4), "{report}");
        assert_eq!((users.differing_fields["first_name"], users.differing_fields["last_name"]), (2, 2));
        let organizations = &report.organizations;
        assert_eq!((organizations.missing, organizations.extra, organizations.stale), (0, 1, 0), "{report}");
        let memberships = &report.memberships;
        // Those of the deleted organization go with it.
        assert_eq!((memberships.missing, memberships.extra, memberships.stale), (1, 1, 1), "{report}");
        assert_eq!(memberships.differing_fields.keys().collect::<Vec<_>>(), ["role"]);
        assert_eq!(site.drive(State::of_mirror(&pool, instance)).await, before);
        site.drive(pool.close()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_repair_makes_the_mirror_clerks_state_row_by_row() {
    each(async |database| {
        let site = filled(&database.url).await;
        differ(&site);
        site.pass(SECOND).await;
        let report = site.repair().await;
        assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
        assert_eq!(report.outcome.exit_code(), 0);
        assert_eq!((report.users.before, report.users.after), (20, 20), "{report}");
        assert_eq!((report.memberships.before, report.memberships.after), (10, 5), "{report}");
        let pool = pool(&database.url);
        let mirror = site.drive(State::of_mirror(&pool, site.mirror.instance_id().unwrap())).await;
        assert_eq!(mirror, site.drive(State::of_clerk(&site.client)).await);
        let again = site.report().await;
        assert_eq!(again.outcome, ReconcileOutcome::Equal, "{again}");
        site.drive(pool.close()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_run_that_finds_nothing_asks_no_second_time_and_does_not_wait() {
    each(async |database| {
        let site = filled(&database.url).await;
        let begun = tokio::time::Instant::now();
        let report = site.drive(site.reconcile(ReconcileMode::Repair).run()).await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::Equal, "{report}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_user_whom_the_mirror_wrongly_holds_for_deleted_comes_back_by_a_read_of_a_minute_later() {
    each(async |database| {
        let site = filled(&database.url).await;
        // An event that Clerk never had a reason for.
        let id = site.fake.user_id("user7@example.com").unwrap();
        let event = site
            .fake
            .send_webhook("user.deleted", serde_json::json!({ "id": id, "object": "user", "deleted": true }));
        let answers = site.drive(site.fake.deliver_webhooks([event])).await;
        assert!(answers[0].is_some_and(|status| status.is_success()), "{answers:?}");
        site.pass(SECOND).await;
        let report = site.report().await;
        assert_eq!((report.users.wrongly_deleted, report.users.remaining), (1, 1), "{report}");
        let report = site.repair().await;
        assert_eq!((report.users.wrongly_deleted, report.users.remaining), (1, 0), "{report}");
        assert_eq!(report.outcome, ReconcileOutcome::Repaired, "{report}");
        assert_eq!(site.report().await.outcome, ReconcileOutcome::Equal);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y6_a_report_shows_neither_ids_nor_contents() {
    let database = crate::support::Database::sqlite();
    let site = filled(&database.url).await;
    differ(&site);
    site.pass(SECOND).await;
    let report = site.repair().await;
    let shown = [report.to_string(), format!("{report:?}"), serde_json::to_string(&report).unwrap()].concat();
    for secret in ["user_", "org_", "orgmem_", "example.com", "Grace", "acme", "sk_"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
