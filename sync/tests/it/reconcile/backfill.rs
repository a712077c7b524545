//! Backfills (rule Y5).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerk, FakeOrganization, FakeUser, Fault};
use tower_clerk_sync::{Backfill, MirrorErrorKind, Progress, ReconcileOutcome};

use crate::equal::{State, pool};
use crate::site::Site;
use crate::support::each;

const SECOND: Duration = Duration::from_secs(1);

async fn instance(url: &str) -> Site {
    let site = Site::new(url, "clerk.example.com").await;
    site.fake.hold_webhooks();
    for organization in ["acme", "globex", "initech"] {
        site.fake.add_organization(FakeOrganization::new(organization));
    }
    for number in 0..23 {
        let user = format!("user{number}@example.com");
        site.fake.add_user(FakeUser::new(&user));
        site.fake.add_member(&user, "acme", "org:member");
        site.pass(Duration::from_millis(number % 3)).await;
    }
    site.pass(SECOND).await;
    site
}

async fn assert_equal(site: &Site, url: &str) {
    let pool = pool(url);
    let mirror = site.drive(State::of_mirror(&pool, site.mirror.instance_id().unwrap())).await;
    assert_eq!(mirror, site.drive(State::of_clerk(&site.client)).await);
    site.drive(pool.close()).await;
}

#[tokio::test(start_paused = true)]
async fn y5_a_backfill_brings_everything_into_the_mirror() {
    each(async |database| {
        let site = instance(&database.url).await;
        let run = Backfill::new(site.mirror.clone(), site.client.clone()).page_size(5);
        let report = site.drive(run.run()).await.unwrap();
        assert_eq!((report.users.rows, report.users.at_clerk, report.has_resumed), (23, 23, false));
        assert_eq!((report.organizations.rows, report.memberships.rows), (3, 23));
        assert_equal(&site, &database.url).await;
        assert_eq!(site.report().await.outcome, ReconcileOutcome::Equal);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y5_a_backfill_that_was_stopped_goes_on_where_it_was() {
    each(async |database| {
        let site = instance(&database.url).await;
        for (endpoint, pages) in [(Endpoint::Users, 3), (Endpoint::Memberships, 2)] {
            // The outage outlasts the client's own repeats.
            let fake = site.fake.clone();
            site.fake
                .after_answer(endpoint, pages, move |_| fake.script_always(endpoint, Fault::Status(503)));
            let run = Backfill::new(site.mirror.clone(), site.client.clone()).page_size(5);
            let error = site.drive(run.run()).await.unwrap_err();
            assert_eq!(error.kind(), MirrorErrorKind::Client, "{error}");
            site.fake.clear_script(endpoint);
        }
        site.fake.clear_log();
        let run = Backfill::new(site.mirror.clone(), site.client.clone()).page_size(5);
        let report = site.drive(run.run()).await.unwrap();
        assert!(report.has_resumed);
        assert_eq!(site.fake.count(Endpoint::Users), 0, "all users were there");
        assert_equal(&site, &database.url).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y5_a_cursor_whose_user_is_gone_is_not_the_end() {
    each(async |database| {
        for page in 1..=5 {
            let host = format!("cursor-{page}.example.com");
            let site = Site::new(&database.url, &host).await;
            site.fake.hold_webhooks();
            for number in 0..23 {
                site.fake.add_user(FakeUser::new(format!("user{number:02}@example.com")));
                site.pass(Duration::from_millis(number % 3)).await;
            }
            // The last user of the page, which is the cursor of the next one.
            let last = format!("user{:02}@example.com", (page * 5 - 1).min(22));
            let gone = last.clone();
            site.fake.after_answer(Endpoint::Users, page, move |fake: &FakeClerk| fake.delete_user(&gone));
            site.backfill().await;
            assert_eq!(site.fake.user_id(&last), None);
            let pool = pool(&database.url);
            let mirror = site.drive(State::of_mirror(&pool, site.mirror.instance_id().unwrap())).await;
            let clerk = site.drive(State::of_clerk(&site.client)).await;
            for (id, user) in &clerk.users {
                assert_eq!(mirror.users.get(id), Some(user), "page {page}");
            }
            site.drive(pool.close()).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y5_users_of_one_millisecond_are_not_taken_twice_or_left_out() {
    each(async |database| {
        let site = Site::new(&database.url, "clerk.example.com").await;
        site.fake.hold_webhooks();
        // An import has them all at once.
        for number in 0..23 {
            site.fake.add_user(FakeUser::new(format!("user{number}@example.com")));
        }
        site.backfill().await;
        assert_equal(&site, &database.url).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y5_a_deletion_that_moves_the_pages_leaves_no_membership_out() {
    each(async |database| {
        for page in 1..=4 {
            let site = Site::new(&database.url, &format!("moved-{page}.example.com")).await;
            site.fake.hold_webhooks();
            site.fake.add_organization(FakeOrganization::new("acme"));
            for number in 0..23 {
                let user = format!("user{number}@example.com");
                site.fake.add_user(FakeUser::new(&user));
                site.fake.add_member(&user, "acme", "org:member");
                site.pass(Duration::from_millis(1)).await;
            }
            // More than two pages share.
            site.fake.after_answer(Endpoint::Memberships, page, |fake: &FakeClerk| {
                (0..4).for_each(|number| fake.remove_member(&format!("user{number}@example.com"), "acme"));
            });
            site.backfill().await;
            let pool = pool(&database.url);
            let mirror = site.drive(State::of_mirror(&pool, site.mirror.instance_id().unwrap())).await;
            let clerk = site.drive(State::of_clerk(&site.client)).await;
            for (id, membership) in &clerk.memberships {
                assert_eq!(mirror.memberships.get(id), Some(membership), "page {page}");
            }
            site.drive(pool.close()).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn y5_progress_is_told_page_by_page() {
    let database = crate::support::Database::sqlite();
    let site = instance(&database.url).await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let run = Backfill::new(site.mirror.clone(), site.client.clone()).page_size(10).on_progress({
        let told = std::sync::Arc::clone(&told);
        move |progress| told.lock().unwrap().push(progress)
    });
    site.drive(run.run()).await.unwrap();
    let told = told.lock().unwrap();
    let users: Vec<u64> = told
        .iter()
        .filter_map(|step| match step {
            Progress::Listed { kind: tower_clerk_sync::Kind::User, entries, of: 23 } => Some(*entries),
            _ => None,
        })
        .collect();
    assert_eq!(users[..3], [10, 20, 23], "{told:?}");
}
