//! The lists of the Backend API: orders, limits, cursors, totals, and what a test makes of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_clerk::{Endpoint, FakeClerk, FakeOrganization, FakeUser, Fault, WebhookEndpoint, WebhookSecret};
use http::StatusCode;
use serde_json::Value;

use crate::caller::Server;

fn empty() -> (FakeClerk, Server) {
    let clerk = FakeClerk::builder().empty().no_rate_limit().build();
    let server = Server::new(&clerk);
    (clerk, server)
}

async fn ids(server: &Server, path: &str) -> Vec<String> {
    let list = server.get(path).await.ok();
    let entries = if list.is_array() { &list } else { &list["data"] };
    entries.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn users_are_listed_by_cursor_in_both_orders_of_their_creation() {
    let (clerk, server) = empty();
    clerk.seed_users(25);
    let newest = ids(&server, "/v1/users?limit=500").await;
    let oldest: Vec<_> = newest.iter().rev().cloned().collect();
    assert_eq!(ids(&server, "/v1/users").await, newest[..10], "Clerk's default is a page of ten");
    for (order, expected) in [
        ("", &newest),
        ("&order_by=-created_at", &newest),
        ("&order_by=created_at", &oldest),
        ("&order_by=%2Bcreated_at", &oldest),
        ("&order_by=+created_at", &oldest),
        ("&order_by=created_at&order_by=nonsense", &oldest),
    ] {
        assert_eq!(ids(&server, &format!("/v1/users?limit=500{order}")).await, **expected, "{order}");
        let after = format!("/v1/users?limit=7&starting_after={}{order}", expected[6]);
        assert_eq!(ids(&server, &after).await, expected[7..14], "{order}");
        let offset = format!("/v1/users?limit=7&offset=20{order}");
        assert_eq!(ids(&server, &offset).await, expected[20..], "{order}");
    }
    // A cursor holds its place whatever else goes, and one whose user is gone is the end.
    clerk.delete_user(&oldest[3]);
    let after = format!("/v1/users?limit=2&order_by=created_at&starting_after={}", oldest[2]);
    assert_eq!(ids(&server, &after).await, oldest[4..6]);
    let after = format!("/v1/users?order_by=created_at&starting_after={}", oldest[3]);
    assert!(ids(&server, &after).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn users_are_ordered_by_other_fields_and_those_without_them_come_last() {
    let (clerk, server) = empty();
    for (id, first, name) in
        [("user_1", "Bea", None), ("user_2", "Cid", Some("cid")), ("user_3", "Amy", None)]
    {
        let user = FakeUser::new(format!("{first}@example.com")).id(id).name(first, "Doe");
        clerk.add_user(match name {
            Some(name) => user.username(name),
            None => user,
        });
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    clerk.edit_user("user_1", |user| user.external_id("42"));
    for (order, expected) in [
        ("first_name", ["user_3", "user_1", "user_2"]),
        ("-first_name", ["user_2", "user_1", "user_3"]),
        ("email_address", ["user_3", "user_1", "user_2"]),
        ("-updated_at", ["user_1", "user_3", "user_2"]),
    ] {
        assert_eq!(ids(&server, &format!("/v1/users?order_by={order}")).await, expected, "{order}");
    }
    assert_eq!(ids(&server, "/v1/users?order_by=username").await[0], "user_2");
    assert_eq!(ids(&server, "/v1/users?external_id=42").await, ["user_1"]);
}

#[tokio::test(start_paused = true)]
async fn what_clerk_refuses_of_a_list_is_422() {
    let (clerk, server) = empty();
    clerk.seed_users(2);
    let organization = clerk.add_organization(FakeOrganization::new("acme"));
    let many = (0..101).map(|id| format!("user_id=user_{id}")).collect::<Vec<_>>().join("&");
    let users = [
        "limit=0",
        "limit=501",
        "limit=ten",
        "offset=-1",
        "order_by=nonsense",
        "order_by=",
        "starting_after=user_1&offset=1",
        "starting_after=user_1&order_by=updated_at",
        "created_at_after=yesterday",
        "favourite_colour=blue",
        &many,
    ];
    let of_users = users.map(|query| format!("/v1/users?{query}"));
    let count = ["limit=1", "offset=1", "order_by=created_at", "created_at_after=x"];
    let of_count = count.map(|query| format!("/v1/users/count?{query}"));
    let organizations = ["limit=501", "order_by=slug", "include_members_count=1", "starting_after=org_1"];
    let of_organizations = organizations.map(|query| format!("/v1/organizations?{query}"));
    let of_memberships = ["limit=0", "order_by=role", "user_id=user_1"]
        .map(|query| format!("/v1/organization_memberships?{query}"));
    let of_members = ["limit=501", "order_by=role", "name=x"]
        .map(|query| format!("/v1/organizations/{organization}/memberships?{query}"));
    let all = [&of_users[..], &of_count, &of_organizations, &of_memberships, &of_members].concat();
    for path in &all {
        let got = server.get(path).await;
        assert_eq!(got.status, 422, "{path}: {}", got.body);
    }
    assert_eq!(server.get("/v1/users?starting_after=user_1&offset=0").await.status, 200);
    assert_eq!(server.get("/v1/organizations/org_nobody/memberships").await.status, 404);
    assert_eq!(server.post("/v1/organization_memberships", "{}").await.status, 405);
}

#[tokio::test(start_paused = true)]
async fn users_are_counted_and_found_by_the_time_of_their_creation() {
    let (clerk, server) = empty();
    clerk.seed_users(1_000);
    let all = server.get("/v1/users?limit=500&order_by=created_at").await.ok();
    let times: Vec<i64> =
        all.as_array().unwrap().iter().map(|user| user["created_at"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
    let count = async |query: String| {
        let counted = server.get(&format!("/v1/users/count{query}")).await.ok();
        assert_eq!(counted["object"], "total_count");
        counted["total_count"].as_u64().unwrap()
    };
    assert_eq!(count(String::new()).await, 1_000);
    for at in [times[0], times[250], times[499]] {
        let before = times.iter().filter(|time| **time < at).count() as u64;
        let here = times.iter().filter(|time| **time == at).count() as u64;
        assert_eq!(count(format!("?created_at_before={at}")).await, before);
        // Half of the users aren't in the page.
        let same =
            if at == times[499] { count(format!("?created_at_after={}", at - 1)).await - 500 } else { here };
        assert_eq!(count(format!("?created_at_after={at}")).await, 1_000 - before - same, "{at}");
    }
    assert_eq!(count("?email_address=user7@example.com".to_owned()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn organizations_and_memberships_are_listed_by_offset_with_their_totals() {
    let (clerk, server) = empty();
    clerk.seed_users(4);
    for (slug, members) in [("b", 1), ("a", 3), ("c", 2)] {
        clerk.add_organization(FakeOrganization::new(slug).id(format!("org_{slug}")));
        for user in 1..=members {
            clerk.add_member(&format!("user{user}@example.com"), slug, "org:member");
        }
    }
    assert_eq!(ids(&server, "/v1/organizations").await, ["org_c", "org_a", "org_b"]);
    assert_eq!(ids(&server, "/v1/organizations?order_by=created_at&offset=1").await, ["org_a", "org_c"]);
    assert_eq!(ids(&server, "/v1/organizations?order_by=name").await, ["org_a", "org_b", "org_c"]);
    assert_eq!(ids(&server, "/v1/organizations?order_by=-members_count&limit=1").await, ["org_a"]);
    let two = "organization_id=org_a&organization_id=%2Borg_c&organization_id=org_nobody";
    assert_eq!(ids(&server, &format!("/v1/organizations?{two}")).await, ["org_c", "org_a"]);
    let list = server.get("/v1/organizations?limit=1").await.ok();
    assert_eq!(list["total_count"], 3);
    assert!(list["data"][0].get("members_count").is_none(), "only if it is asked for");
    let list = server.get("/v1/organizations?include_members_count=true").await.ok();
    assert_eq!(list["data"][1]["members_count"], 3);

    let all = ids(&server, "/v1/organization_memberships?order_by=created_at&limit=500").await;
    assert_eq!(all.len(), 6);
    let list = server.get("/v1/organization_memberships?order_by=created_at&limit=2&offset=4").await.ok();
    assert_eq!((&list["total_count"], list["data"].as_array().unwrap().len()), (&Value::from(6), 2));
    assert_eq!(
        ids(&server, "/v1/organization_memberships?order_by=created_at&limit=2&offset=4").await,
        all[4..]
    );
    let newest: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(ids(&server, "/v1/organization_memberships").await, newest);

    let members = "/v1/organizations/org_a/memberships";
    assert_eq!(ids(&server, &format!("{members}?order_by=created_at")).await, all[1..4]);
    let user = clerk.user_id("user2@example.com").unwrap();
    let found = server.get(&format!("{members}?user_id={user}&user_id=user_nobody")).await.ok();
    assert_eq!(
        (&found["total_count"], &found["data"][0]["id"]),
        (&Value::from(1), &Value::from(all[2].clone()))
    );
    assert_eq!(server.get(&format!("{members}?role=org:admin")).await.ok()["total_count"], 0);
    let by_address = ids(&server, &format!("{members}?order_by=-email_address")).await;
    assert_eq!(by_address, [&*all[3], &*all[2], &*all[1]]);

    // Removed members, users and organizations are in no list, and in no total.
    clerk.remove_member("user1@example.com", "a");
    clerk.delete_user("user2@example.com");
    clerk.delete_organization("b");
    assert_eq!(server.get(members).await.ok()["total_count"], 1);
    let left = server.get("/v1/organization_memberships").await.ok();
    assert_eq!((&left["total_count"], left["data"].as_array().unwrap().len()), (&Value::from(2), 2));
    assert_eq!(ids(&server, "/v1/organizations").await, ["org_c", "org_a"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_changes_the_instance_in_the_middle_of_a_scan() {
    let (clerk, server) = empty();
    clerk.seed_users(4);
    let all = ids(&server, "/v1/users?order_by=created_at").await;
    let gone = all[3].clone();
    clerk.after_answer(Endpoint::Users, 2, move |clerk| {
        clerk.delete_user(&gone);
        clerk.add_user(FakeUser::new("new@example.com").id("user_new"));
    });
    let mut seen = Vec::new();
    for offset in 0..4 {
        seen.extend(ids(&server, &format!("/v1/users?order_by=created_at&limit=1&offset={offset}")).await);
    }
    assert_eq!(seen, [&*all[0], &*all[1], &*all[2], "user_new"]);
    // It has run once, and before the answer was sent.
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::clone(&statuses);
    clerk.after_answer(Endpoint::Backend, 1, move |clerk| {
        counted.lock().unwrap().push(clerk.requests().last().unwrap().status());
    });
    server.get("/v1/instance").await.ok();
    server.get("/v1/instance").await.ok();
    assert_eq!(*statuses.lock().unwrap(), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_cut_short() {
    let (clerk, server) = empty();
    clerk.seed_users(3);
    clerk.add_organization(FakeOrganization::new("acme"));
    clerk.script(Endpoint::Users, Fault::Short(1));
    clerk.script(Endpoint::Organizations, Fault::Short(0));
    assert_eq!(ids(&server, "/v1/users").await.len(), 1);
    assert_eq!(ids(&server, "/v1/users").await.len(), 3);
    let list = server.get("/v1/organizations").await.ok();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["total_count"]), (0, &Value::from(1)));
}

#[tokio::test(start_paused = true)]
async fn an_edit_moves_the_time_of_the_change_and_a_silent_one_does_not() {
    let (clerk, server) = empty();
    let secret = WebhookSecret::random();
    clerk.add_webhook(WebhookEndpoint::in_process(secret, |_| async { StatusCode::NO_CONTENT }));
    let id = clerk.add_user(FakeUser::new("jane@example.com"));
    clerk.seed_users(2);
    let user = async || server.get(&format!("/v1/users/{id}")).await.ok();
    let before = user().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    clerk.edit_user_silently("jane@example.com", |jane| {
        jane.name("Jane", "Doe").email("two@example.com").id("x")
    });
    let silent = user().await;
    assert_eq!((&silent["first_name"], &silent["updated_at"]), (&Value::from("Jane"), &before["updated_at"]));
    let addresses = silent["email_addresses"].as_array().unwrap();
    assert_eq!(addresses[1]["email_address"], "two@example.com");
    assert_eq!(addresses[0]["id"], before["email_addresses"][0]["id"]);
    assert_eq!(clerk.user_id("two@example.com").as_ref(), Some(&id));
    clerk.edit_user("two@example.com", |jane| jane.name("Janet", "Doe"));
    let edited = user().await;
    assert_ne!(edited["updated_at"], before["updated_at"]);
    let events: Vec<_> = clerk.deliveries().iter().map(|it| it.event_type().to_owned()).collect();
    assert_eq!(events, ["user.created", "user.updated"], "neither the silent edit nor the seed is told");
}
