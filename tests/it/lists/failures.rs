//! Answers that are none, and pages that are too large (rule Y20).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use serde_json::{Map, json};
use tower_clerk::backend::{
    BackendClient, BackendErrorKind, ListOrder, MembershipQuery, OrganizationQuery, UserQuery,
};
use tower_clerk::error::SecretKeyError;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser, Fault, RetryAfter};
use tower_clerk::transport::{Transport, TransportError, TransportFuture};
use tower_clerk::{Clerk, ConfigError};

use super::{Lists, SECOND, builder, unlimited};
use crate::common::{World, logged};

/// Adds users whose metadata has this many bytes.
fn large_users(fake: &FakeClerk, count: usize, bytes: usize) {
    for user in 0..count {
        let metadata = Map::from_iter([("about".to_owned(), json!("x".repeat(bytes)))]);
        fake.add_user(FakeUser::new(format!("user{user}@example.com")).public_metadata(metadata));
    }
}

#[tokio::test(start_paused = true)]
async fn y20_a_page_over_16_mebibytes_is_asked_for_again_in_halves() {
    let lists = Lists::new();
    large_users(&lists.fake, 40, 1024 * 1024);
    let mut query = UserQuery::new().order_by(ListOrder::OldestFirst).limit(40);
    let mut ids = Vec::new();
    loop {
        let page = lists.client.users(&query).await.unwrap();
        assert!(page.limit <= 15, "{}", page.limit);
        ids.extend(page.entries.iter().map(|user| user.id.clone()));
        let Some(last) = page.entries.last().filter(|_| !page.is_last()) else { break };
        query = query.limit(page.limit).starting_after(&last.id);
    }
    assert_eq!(ids.len(), 40);
    // 40, 20, and four pages of 10, after which a fifth one is empty.
    assert_eq!(lists.fake.count(Endpoint::Users), 2 + 5);
}

#[tokio::test(start_paused = true)]
async fn y20_an_entry_that_is_too_large_by_itself_is_an_error() {
    let lists = Lists::new();
    large_users(&lists.fake, 2, 17 * 1024 * 1024);
    let error = lists.client.users(&UserQuery::new().limit(8)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (BackendErrorKind::Unreadable, Some("oversized")));
    assert_eq!(lists.fake.count(Endpoint::Users), 4, "8, 4, 2 and 1, and none of them twice");
}

/// A transport of the application that knows nothing of lists.
struct OneMebibyte(FakeClerk);

impl Transport for OneMebibyte {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let response = self.0.send(request).await?;
            let fits = response.body().len() <= tower_clerk::transport::MAX_BODY;
            if fits { Ok(response) } else { Err(TransportError::too_large()) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn y20_a_transport_with_a_bound_of_its_own_gets_smaller_pages() {
    let lists = Lists::new();
    large_users(&lists.fake, 20, 110 * 1024);
    let client = unlimited(builder(&lists.fake, lists.clock)).transport(OneMebibyte(lists.fake.clone()));
    let page = client.build().unwrap().users(&UserQuery::new().limit(20)).await.unwrap();
    assert_eq!((page.entries.len(), page.limit), (5, 5));
}

/// Drops the `Date` of each answer.
struct Undated(FakeClerk);

impl Transport for Undated {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let mut response = self.0.send(request).await?;
            response.headers_mut().remove("date");
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn y20_an_answer_without_a_date_or_without_one_of_its_entries_is_unreadable() {
    let lists = Lists::new();
    lists.fake.seed_users(3);
    let undated = unlimited(builder(&lists.fake, lists.clock)).transport(Undated(lists.fake.clone()));
    let undated = undated.build().unwrap();
    let errors = [
        undated.users(&UserQuery::new()).await.unwrap_err(),
        undated.count_users().await.unwrap_err(),
        undated.user("user_nobody").await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == BackendErrorKind::Unreadable), "{errors:?}");
    for fault in [Fault::WrongTypes, Fault::Oversized, Fault::Empty, Fault::NotJson] {
        lists.fake.script(Endpoint::Users, fault.clone());
        let error = lists.client.users(&UserQuery::new()).await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Unreadable, "{fault:?}");
    }
    // A list is asked for by `limit` entries, so one that is cut short looks like its end.
    lists.fake.script(Endpoint::Users, Fault::Short(1));
    assert_eq!(lists.client.users(&UserQuery::new()).await.unwrap().entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn y20_a_read_is_repeated_after_an_outage_and_fails_after_three_repeats() {
    for fault in [Fault::Refused, Fault::Reset, Fault::Status(503), Fault::Html(502), Fault::Hang] {
        let lists = Lists::new();
        lists.fake.script_times(Endpoint::Backend, 3, fault.clone());
        lists.client.count_users().await.unwrap();
        lists.fake.script_always(Endpoint::Backend, fault.clone());
        let began = tokio::time::Instant::now();
        let error = lists.client.count_users().await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Unavailable, "{fault:?}");
        assert!(began.elapsed() >= 7 * SECOND, "{fault:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn y20_a_storm_of_429_ends_a_read_after_five_pauses() {
    let lists = Lists::new();
    let retry_after = RetryAfter::Seconds(10);
    lists.fake.script_always(Endpoint::Backend, Fault::RateLimited { retry_after });
    let error = lists.client.users(&UserQuery::new()).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(10 * SECOND));
    assert_eq!(lists.fake.count(Endpoint::Users), 6);
}

#[tokio::test(start_paused = true)]
async fn y20_a_key_that_clerk_refuses_is_misconfigured_and_not_asked_again() {
    let lists = Lists::new();
    let stranger = BackendClient::builder("sk_test_another").backend_url(lists.fake.backend_url());
    let stranger = unlimited(stranger).transport(lists.fake.clone()).build().unwrap();
    let shown = logged(async {
        let errors = [
            stranger.users(&UserQuery::new()).await.unwrap_err(),
            stranger.count_users().await.unwrap_err(),
            stranger.user("user_1").await.unwrap_err(),
            stranger.organizations(&OrganizationQuery::new()).await.unwrap_err(),
            stranger.organization("org_1").await.unwrap_err(),
            stranger.memberships(&MembershipQuery::new()).await.unwrap_err(),
            stranger.memberships_of("org_1", &MembershipQuery::new()).await.unwrap_err(),
            stranger.instance().await.unwrap_err(),
        ];
        for error in &errors {
            assert_eq!(error.kind(), BackendErrorKind::Misconfigured);
            assert!(error.to_string().contains("secret key"), "{error}");
            assert!(!format!("{error} {error:?}").contains("sk_test"), "{error:?}");
        }
    })
    .await;
    assert_eq!(lists.fake.count(Endpoint::Any), 8);
    assert!(!shown.contains("sk_test") && !format!("{stranger:?}").contains("sk_test"), "{shown}");
    // These two are about the key, with any code.
    for status in [401, 403] {
        lists.fake.script(Endpoint::Users, Fault::Status(status));
        let error = lists.client.users(&UserQuery::new()).await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Misconfigured, "{status}");
    }
    lists.fake.script(Endpoint::Users, Fault::Status(422));
    assert_eq!(lists.client.users(&UserQuery::new()).await.unwrap_err().kind(), BackendErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn y20_an_engine_has_a_client_if_it_has_a_secret_key() {
    let world = World::backend();
    let users = world.clerk.backend().unwrap().count_users().await.unwrap();
    assert!(users.value > 0);
    assert!(World::new().clerk.backend().is_none());
    let calls = world.clerk.stats().upstream;
    assert!(calls.iter().any(|it| it.operation == "count_users" && it.count == 1), "its reads are counted");
}

#[test]
fn y20_unusable_settings_are_errors() {
    let key = "sk_live_abc";
    let build = |key: &str| BackendClient::builder(key);
    assert!(matches!(
        build("pk_live_x").build(),
        Err(ConfigError::SecretKey(SecretKeyError::PublishableKey))
    ));
    assert!(matches!(build(key).backend_url("http://example.com").build(), Err(ConfigError::BackendUrl(_))));
    assert!(matches!(
        build(key).list_rate(0, SECOND).build(),
        Err(ConfigError::Zero { name: "list_rate", .. })
    ));
    assert!(matches!(build(key).list_rate(1, SECOND / 2).build(), Err(ConfigError::Setting { .. })));
    assert!(matches!(build(key).upstream_timeout(SECOND / 20).build(), Err(ConfigError::Setting { .. })));
    assert!(build(key).build().is_ok());
    let shown = format!("{:?}", build(key));
    assert!(!shown.contains(key), "{shown}");
    let without_key = Clerk::builder("https://clerk.example.com").backend_list_rate(1, SECOND).build();
    assert!(matches!(without_key, Err(ConfigError::NeedsSecretKey { name: "backend_list_rate", .. })));
}

/// Nothing of the client is lost if a future is dropped in the middle of a call.
#[tokio::test(start_paused = true)]
async fn y20_a_read_that_is_dropped_in_flight_leaves_the_client_as_it_was() {
    let lists = Lists::new();
    let tried = Arc::new(AtomicUsize::new(0));
    let hold = lists.fake.hold(Endpoint::Users);
    let client = lists.client.clone();
    let counted = Arc::clone(&tried);
    let read = tokio::spawn(async move {
        counted.fetch_add(1, Ordering::Relaxed);
        client.users(&UserQuery::new()).await
    });
    hold.arrived(1).await;
    read.abort();
    hold.release();
    lists.client.users(&UserQuery::new()).await.unwrap();
    assert_eq!((tried.load(Ordering::Relaxed), lists.fake.count(Endpoint::Users)), (1, 2));
}
