//! Users in the Backend API.

use std::time::Duration;

use fake_clerk::{FakeClerk, FakeUser};
use serde_json::{Value, json};
use tokio::time::advance;

use super::caller::{Caller, JANE, Server};

fn ids(users: &Value) -> Vec<&str> {
    users.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_their_identifiers() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let zoe = clerk.add_user(FakeUser::new("+49 30 1234567"));
    let jane = server.user("username=JANE").await;
    for filter in [
        "email_address=Jane%40Example.com",
        "username=jane",
        "email_address=nobody%40example.com&email_address=jane%40example.com",
        "email_address=jane%40example.com&username=jane",
    ] {
        assert_eq!(server.user(filter).await, jane, "{filter}");
    }
    assert_eq!(server.user(&format!("user_id={jane}")).await, jane);
    assert_eq!(server.user("phone_number=%2B49301234567").await, zoe);
    for nobody in ["email_address=jane", "username=jane%40example.com", "username=jane&username_query=j"] {
        let got = server.get(&format!("/v1/users?{nobody}")).await;
        assert!(got.body == json!([]) || got.refusal() == (422, "form_param_unknown"), "{:?}", got.body);
    }
    // A user must match all filters.
    let both = server.get("/v1/users?email_address=jane%40example.com&username=bob").await.ok();
    assert_eq!(both, json!([]));
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_and_the_newest_come_first() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let newest = clerk.add_user(FakeUser::new("zoe@example.com"));
    for count in 0..3 {
        clerk.add_user(FakeUser::new(format!("user{count}")).id(format!("user_{count}")));
    }
    let all = server.get("/v1/users").await.ok();
    assert_eq!(all.as_array().unwrap().len(), 10);
    assert_eq!(ids(&all)[..4], ["user_2", "user_1", "user_0", &newest]);
    let page = server.get("/v1/users?limit=2&offset=1").await.ok();
    assert_eq!(ids(&page), ["user_1", "user_0"]);
    let but = server.get("/v1/users?limit=1&user_id=-user_2").await.ok();
    assert_eq!(ids(&but), ["user_1"]);
    for wrong in ["limit=0", "limit=501", "limit=ten", "offset=-1"] {
        let got = server.get(&format!("/v1/users?{wrong}")).await;
        assert_eq!(got.refusal(), (422, "form_param_value_invalid"), "{wrong}");
    }
    let many = "username=x&".repeat(101);
    assert_eq!(server.get(&format!("/v1/users?{many}")).await.status, 422);
}

#[tokio::test(start_paused = true)]
async fn a_user_is_shown_to_servers_with_private_data() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let id = server.user("username=jane").await;
    let user = server.get(&format!("/v1/users/{id}")).await.ok();
    assert_eq!(user["email_addresses"][0]["verification"]["status"], "verified");
    assert_eq!((&user["banned"], &user["locked"]), (&json!(false), &json!(false)));
    assert_eq!(user["private_metadata"], json!({}));
    assert!(user.get("organization_memberships").is_none());
    assert_eq!(server.get("/v1/users/user_nobody").await.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn verify_password_reports_right_wrong_and_missing_passwords() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let check = async |user: &str, password: &str| {
        server.post(&format!("/v1/users/{user}/verify_password"), json!({ "password": password })).await
    };
    let jane = server.user("username=jane").await;
    assert_eq!(check(&jane, JANE).await.ok(), json!({ "verified": true }));
    let sso = server.user("email_address=sso%40example.com").await;
    assert_eq!(check(&sso, "any").await.refusal(), (400, "no_password_set"));
    assert_eq!(check("user_nobody", "any").await.refusal(), (404, "resource_not_found"));
    for _ in 0..20 {
        assert_eq!(check(&jane, "wrong").await.codes(), ["incorrect_password"]);
    }
    // Failed checks and locks don't matter here, and no session is opened.
    clerk.lock("jane");
    check(&jane, JANE).await.ok();
    assert_eq!(clerk.sessions().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn password_checks_count_towards_the_lock_if_enabled() {
    let lock = Duration::from_secs(600);
    let clerk = FakeClerk::builder().verify_password_counts(true).lockout(3, lock).build();
    let server = Server::new(&clerk);
    let path = format!("/v1/users/{}/verify_password", server.user("username=jane").await);
    let (right, wrong) = (json!({ "password": JANE }), json!({ "password": "wrong" }));
    for _ in 0..2 {
        server.post(&path, &wrong).await;
        server.post(&path, &wrong).await;
        server.post(&path, &right).await.ok();
    }
    for _ in 0..3 {
        assert_eq!(server.post(&path, &wrong).await.refusal(), (422, "incorrect_password"));
    }
    assert_eq!(server.post(&path, &right).await.refusal(), (403, "user_locked"));
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.refusal(), (403, "user_locked"));
    advance(lock).await;
    server.post(&path, &right).await.ok();
}

#[tokio::test(start_paused = true)]
async fn memberships_are_listed_with_their_count() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let path = format!("/v1/users/{}/organization_memberships", server.user("username=jane").await);
    let all = server.get(&path).await.ok();
    assert_eq!(all["total_count"], 2);
    let slugs: Vec<_> =
        all["data"].as_array().unwrap().iter().map(|one| &one["organization"]["slug"]).collect();
    assert_eq!(slugs, ["globex", "acme"]);
    assert_eq!(all["data"][1]["role"], "org:admin");
    let second = server.get(&format!("{path}?limit=1&offset=1")).await.ok();
    assert_eq!((&second["data"][0], &second["total_count"]), (&all["data"][1], &json!(2)));
    let nobody = server.get("/v1/users/user_nobody/organization_memberships").await;
    assert_eq!(nobody.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn users_are_banned_locked_and_exempted_from_device_trust() {
    let clerk = FakeClerk::builder().no_rate_limit().device_trust(true).build();
    let server = Server::new(&clerk);
    let path = format!("/v1/users/{}", server.user("username=jane").await);
    let patch = |body: Value| server.request("PATCH", &path, &body.to_string());
    let shown = server.send(patch(json!({ "bypass_client_trust": true }))).await.ok();
    assert_eq!(shown["bypass_client_trust"], true);
    assert_eq!(
        server.send(patch(json!({ "username": "joan" }))).await.refusal(),
        (422, "form_param_unknown")
    );
    Caller::new(&clerk).session("jane", JANE).await;
    for (action, field, value, refusal) in [
        ("lock", "locked", true, (403, "user_locked")),
        ("unlock", "locked", false, (200, "")),
        ("ban", "banned", true, (403, "user_banned")),
        ("unban", "banned", false, (200, "")),
    ] {
        let shown = server.post(&format!("{path}/{action}"), "").await.ok();
        assert_eq!(shown[field], value, "{action}");
        assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.refusal(), refusal, "{action}");
    }
    // The ban has revoked the earlier sessions.
    assert_eq!(clerk.live_sessions_of("jane"), 1);
    assert_eq!(server.post("/v1/users/user_nobody/ban", "").await.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn the_instance_reports_its_environment_type() {
    let clerk = FakeClerk::new();
    assert_eq!(Server::new(&clerk).get("/v1/instance").await.ok()["environment_type"], "development");
    let clerk = FakeClerk::builder().secret_key("sk_live_0123").build();
    assert_eq!(Server::new(&clerk).get("/v1/instance").await.ok()["environment_type"], "production");
    assert!(clerk.publishable_key().starts_with("pk_live_"));
}
