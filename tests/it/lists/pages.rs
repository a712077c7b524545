//! The client's queries, and the pages that it reads (rules Y21, Y20).

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tower_clerk::backend::{BackendErrorKind, ListOrder, MembershipQuery, OrganizationQuery, UserQuery};
use tower_clerk::testing::{Endpoint, FakeOrganization, FakeUser};

use super::{Lists, SECOND};

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// All users in pages of this size, by cursor.
async fn scan(lists: &Lists, order: ListOrder, limit: u32) -> Vec<String> {
    let (mut query, mut ids) = (UserQuery::new().order_by(order).limit(limit), Vec::new());
    loop {
        let page = lists.client.users(&query).await.unwrap();
        ids.extend(page.entries.iter().map(|user| user.id.clone()));
        match page.entries.last().filter(|_| !page.is_last()) {
            Some(last) => query = query.starting_after(&last.id),
            None => return ids,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn y20_users_are_listed_by_cursor_in_both_orders() {
    let lists = Lists::new();
    lists.fake.seed_users(1_050);
    for limit in [500, 350, 7] {
        let mut ids = scan(&lists, ListOrder::OldestFirst, limit).await;
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1_050, "{limit}");
        let newest = scan(&lists, ListOrder::NewestFirst, limit).await;
        ids.reverse();
        assert_eq!(ids, newest, "{limit}");
    }
    // By default, a page is as large as Clerk allows, and in Clerk's own order.
    let page = lists.client.users(&UserQuery::new()).await.unwrap();
    assert_eq!((page.entries.len(), page.limit, page.total_count), (500, 500, None));
    assert_eq!(page.entries[0].email_addresses[0].identifier, "user1050@example.com");
    assert_eq!(lists.client.count_users().await.unwrap().value, 1_050);
    let after = lists.client.users(&UserQuery::new().offset(1_049)).await.unwrap();
    assert_eq!((after.entries.len(), after.is_last()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn y20_users_are_listed_by_the_time_of_their_creation_to_the_millisecond() {
    let lists = Lists::new();
    for name in ["a", "b", "c"] {
        lists.fake.add_user(FakeUser::new(name));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let all = lists.client.users(&UserQuery::new().order_by(ListOrder::OldestFirst)).await.unwrap().entries;
    let b = all[1].created_at.unwrap();
    for (query, expected) in [
        (UserQuery::new().created_at_after(b), "c"),
        (UserQuery::new().created_at_before(b), "a"),
        (
            UserQuery::new()
                .created_at_after(b - Duration::from_millis(1))
                .created_at_before(b + Duration::from_millis(1)),
            "b",
        ),
    ] {
        let found = lists.client.users(&query).await.unwrap().entries;
        let names: Vec<_> = found.iter().filter_map(|user| user.username.as_deref()).collect();
        assert_eq!(names, [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn y20_an_answer_has_the_time_of_clerks_clock() {
    let lists = Lists::with(|fake| fake.no_rate_limit().clock_skew(-100), super::unlimited);
    tokio::time::advance(7 * SECOND).await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 - 100 + 7);
    assert_eq!(lists.client.users(&UserQuery::new()).await.unwrap().read_at, at);
    assert_eq!(lists.client.count_users().await.unwrap().read_at, at);
    assert_eq!(lists.client.organizations(&OrganizationQuery::new()).await.unwrap().read_at, at);
    assert_eq!(lists.client.user("user_nobody").await.unwrap().read_at, at);
    let instance = lists.client.instance().await.unwrap();
    assert_eq!((instance.read_at, instance.value.environment.as_deref()), (at, Some("development")));
    assert!(instance.value.id.starts_with("ins_"));
}

#[tokio::test(start_paused = true)]
async fn y20_organizations_and_memberships_are_listed_by_offset_with_their_totals() {
    let lists = Lists::new();
    lists.fake.seed_users(3);
    for slug in ["one", "two", "three"] {
        lists.fake.add_organization(FakeOrganization::new(slug));
        for user in ["user1@example.com", "user2@example.com", "user3@example.com"] {
            lists.fake.add_member(user, slug, "org:member");
        }
    }
    let query = OrganizationQuery::new().order_by(ListOrder::OldestFirst).limit(2);
    let first = lists.client.organizations(&query).await.unwrap();
    let rest = lists.client.organizations(&query.clone().offset(2)).await.unwrap();
    let slugs: Vec<_> =
        first.entries.iter().chain(&rest.entries).filter_map(|it| it.slug.as_deref()).collect();
    assert_eq!(slugs, ["one", "two", "three"]);
    assert_eq!((first.total_count, first.is_last(), rest.is_last()), (Some(3), false, true));
    assert!(first.entries.iter().all(|it| it.members_count == Some(3)), "the counts are asked for");
    let two = &first.entries[1].id;
    let found = lists.client.organizations(&OrganizationQuery::new().ids([two, "org_nobody"])).await.unwrap();
    assert_eq!((found.entries.len(), &found.entries[0].id), (1, two));
    let one = lists.client.organization(two).await.unwrap().value.unwrap();
    assert_eq!((one.slug.as_deref(), one.members_count), (Some("two"), Some(3)));
    assert!(lists.client.organization("org_nobody").await.unwrap().value.is_none());

    let query = MembershipQuery::new().order_by(ListOrder::OldestFirst).limit(4);
    let mut ids = BTreeSet::new();
    for offset in [0, 4, 8] {
        let page = lists.client.memberships(&query.clone().offset(offset)).await.unwrap();
        assert_eq!((page.total_count, page.is_last()), (Some(9), offset == 8));
        ids.extend(page.entries.into_iter().map(|it| it.id));
    }
    assert_eq!(ids.len(), 9);
    let user = lists.fake.user_id("user2@example.com").unwrap();
    let of_user = MembershipQuery::new().user_ids([&user]);
    let page = lists.client.memberships_of(two, &of_user).await.unwrap();
    assert_eq!((page.entries.len(), page.total_count), (1, Some(1)));
    let membership = &page.entries[0];
    assert_eq!((membership.user_id.as_ref(), &membership.organization.id), (Some(&user), two));
    assert_eq!((membership.role.as_deref(), membership.permissions.len()), (Some("org:member"), 1));
    assert_eq!(lists.client.memberships_of(two, &MembershipQuery::new()).await.unwrap().entries.len(), 3);
    let missing = lists.client.memberships_of("org_nobody", &MembershipQuery::new()).await.unwrap_err();
    assert_eq!(missing.kind(), BackendErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn y20_users_are_found_by_their_ids_and_those_who_are_gone_are_left_out() {
    let lists = Lists::new();
    lists.fake.seed_users(120);
    let ids = scan(&lists, ListOrder::OldestFirst, 500).await;
    lists.fake.delete_user(&ids[5]);
    let found = lists.client.users(&UserQuery::new().ids(&ids[..100])).await.unwrap();
    assert_eq!(found.entries.len(), 99);
    assert!(found.entries.iter().all(|user| user.id != ids[5]));
    assert!(lists.client.user(&ids[5]).await.unwrap().value.is_none());
    assert_eq!(lists.client.user(&ids[6]).await.unwrap().value.unwrap().id, ids[6]);
}

/// Clerk would ignore or refuse these queries, or answer with every user.
#[tokio::test(start_paused = true)]
async fn y20_a_query_that_cannot_be_asked_is_refused_without_a_call() {
    let lists = Lists::new();
    let many = (0..101).map(|id| format!("user_{id}"));
    for query in [
        UserQuery::new().limit(0),
        UserQuery::new().limit(501),
        UserQuery::new().ids(many),
        UserQuery::new().ids::<[&str; 0]>([]),
        UserQuery::new().ids(["-user_1"]),
        UserQuery::new().ids([""]),
        UserQuery::new().starting_after("user_1&limit=1"),
        UserQuery::new().starting_after("user_1").offset(1),
    ] {
        let error = lists.client.users(&query).await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Invalid, "{query:?}");
    }
    let all = lists.client.memberships(&MembershipQuery::new().user_ids(["user_1"])).await.unwrap_err();
    assert_eq!(all.kind(), BackendErrorKind::Invalid);
    for id in ["", "../instance", "user_1?x=1", "a/b"] {
        assert_eq!(lists.client.user(id).await.unwrap_err().kind(), BackendErrorKind::Invalid, "{id}");
        assert_eq!(lists.client.organization(id).await.unwrap_err().kind(), BackendErrorKind::Invalid);
        let memberships = lists.client.memberships_of(id, &MembershipQuery::new()).await;
        assert_eq!(memberships.unwrap_err().kind(), BackendErrorKind::Invalid);
    }
    assert_eq!(lists.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn y20_a_user_has_the_fields_that_clerk_sends() {
    let lists = Lists::new();
    let jane = FakeUser::new("jane@example.com")
        .unverified_email("new@example.com")
        .phone("+4930123456")
        .username("jane")
        .name("Jane", "Doe")
        .external_id("42")
        .banned()
        .public_metadata(object(json!({ "plan": "pro" })))
        .unsafe_metadata(object(json!({ "theme": [1, { "dark": null }] })));
    let id = lists.fake.add_user(jane);
    let user = lists.client.user(&id).await.unwrap().value.unwrap();
    assert_eq!((user.id.as_str(), user.username.as_deref()), (id.as_str(), Some("jane")));
    assert_eq!((user.first_name.as_deref(), user.last_name.as_deref()), (Some("Jane"), Some("Doe")));
    assert_eq!(
        (user.external_id.as_deref(), user.banned, user.locked),
        (Some("42"), Some(true), Some(false))
    );
    let primary = user.primary_email_address().unwrap();
    assert_eq!((primary.identifier.as_str(), primary.is_verified), ("jane@example.com", true));
    assert!(!user.email_addresses[1].is_verified);
    assert_eq!(user.primary_phone_number().unwrap().identifier, "+4930123456");
    assert_eq!(user.public_metadata.as_ref().unwrap().as_str(), r#"{"plan":"pro"}"#);
    let theme: Value = serde_json::from_str(user.unsafe_metadata.as_ref().unwrap().as_str()).unwrap();
    assert_eq!(theme, json!({ "theme": [1, { "dark": null }] }));
    assert_eq!((user.created_at, user.updated_at), (Some(lists.clock.wall()), Some(lists.clock.wall())));
    let whole: Value = serde_json::from_str(user.json.as_str()).unwrap();
    assert_eq!(whole["object"], "user");
    let shown = format!("{user:?} {primary:?} {:?}", user.public_metadata);
    assert!(!shown.contains("jane@") && !shown.contains("plan"), "{shown}");
}

/// An event and an entry of a list are the same type, with the same values.
#[tokio::test(start_paused = true)]
async fn y21_private_metadata_is_in_no_field_of_a_list() {
    let lists = Lists::new();
    let secret = object(json!({ "internal": "do-not-copy" }));
    lists.fake.add_user(FakeUser::new("jane@example.com").private_metadata(secret.clone()));
    lists.fake.add_organization(FakeOrganization::new("acme").private_metadata(secret));
    lists.fake.add_member("jane@example.com", "acme", "org:admin");
    let user = lists.client.users(&UserQuery::new()).await.unwrap().entries.remove(0);
    let organization = lists.client.organizations(&OrganizationQuery::new()).await.unwrap().entries.remove(0);
    let membership = lists.client.memberships(&MembershipQuery::new()).await.unwrap().entries.remove(0);
    for json in [&user.json, &organization.json, &membership.json, &membership.organization.json] {
        assert!(!json.as_str().contains("private_metadata"), "{}", json.as_str());
        assert!(!json.as_str().contains("do-not-copy"), "{}", json.as_str());
        assert!(json.as_str().contains("public_metadata"), "{}", json.as_str());
    }
}
