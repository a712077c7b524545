//! Which changes send which events, and what these say.

use fake_clerk::{FakeClerk, FakeOrganization, FakeUser};
use http::header::USER_AGENT;
use serde_json::{Value, json};
use tokio::time::{Duration, advance};

use super::caller::{Caller, JANE, Server};
use super::inbox::Inbox;

/// Returns the data of the only event, which must be of this type.
#[track_caller]
fn only(events: Vec<(String, Value)>, kind: &str) -> Value {
    let types: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, [kind]);
    events.into_iter().next().unwrap().1
}

#[tokio::test(start_paused = true)]
async fn an_envelope_names_the_instance_the_time_and_the_request() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let server = Server::new(&clerk.at_address("192.0.2.7".parse().unwrap()));
    let jane = clerk.user_id("jane").unwrap();
    let mut request = server.request("POST", &format!("/v1/users/{jane}/lock"), "");
    request.headers_mut().insert(USER_AGENT, "curl/8".parse().unwrap());
    server.send(request).await.ok();
    clerk.settle_webhooks().await;
    let envelope: Value = serde_json::from_slice(inbox.take()[0].body()).unwrap();
    assert_eq!((&envelope["object"], &envelope["type"]), (&json!("event"), &json!("user.updated")));
    assert_eq!(envelope["instance_id"], server.get("/v1/instance").await.ok()["id"]);
    let by = json!({ "http_request": { "client_ip": "192.0.2.7", "user_agent": "curl/8" } });
    assert_eq!(envelope["event_attributes"], by);
    let ms = clerk.clock().wall().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(envelope["timestamp"], json!(u64::try_from(ms).unwrap()));

    clerk.reconfigure(|settings| settings.webhook_seconds(true));
    clerk.unlock("jane");
    clerk.settle_webhooks().await;
    let envelope: Value = serde_json::from_slice(inbox.take()[0].body()).unwrap();
    assert_eq!(envelope["timestamp"], json!(u64::try_from(ms / 1000).unwrap()));
    let nobody = json!({ "http_request": { "client_ip": "", "user_agent": "" } });
    assert_eq!(envelope["event_attributes"], nobody);
}

#[tokio::test(start_paused = true)]
async fn an_administrators_changes_of_a_user_are_updates() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let before = Server::new(&clerk).get("/v1/users?username=jane").await.ok()[0].clone();
    advance(Duration::from_secs(60)).await;
    let later = before["updated_at"].as_i64().unwrap() + 60_000;
    type Act = fn(&FakeClerk);
    let changes: [(Act, &str, Value); 9] = [
        (|clerk| clerk.set_password("jane", "another one"), "password_last_updated_at", json!(later)),
        (|clerk| clerk.require_second_factor("jane", true), "mfa_enabled_at", json!(later)),
        (|clerk| clerk.require_second_factor("jane", false), "mfa_disabled_at", json!(later)),
        (|clerk| clerk.ban("jane"), "banned", json!(true)),
        (|clerk| clerk.unban("jane"), "banned", json!(false)),
        (|clerk| clerk.lock("jane"), "locked", json!(true)),
        (|clerk| clerk.unlock("jane"), "locked", json!(false)),
        (|clerk| clerk.set_email_verified("jane", "jane@example.com", false), "username", json!("jane")),
        (|clerk| clerk.change_email("jane", "jane@example.com", "j@example.com"), "username", json!("jane")),
    ];
    for (act, field, value) in changes {
        act(&clerk);
        let data = only(inbox.events(&clerk).await, "user.updated");
        assert_eq!((&data[field], &data["id"]), (&value, &before["id"]), "{field}");
        assert_eq!(data["updated_at"], json!(later), "{field}");
    }
    // Of these, nothing can be seen.
    clerk.require_new_password("jane", true);
    clerk.pending_task("jane", "setup-mfa");
    assert_eq!(inbox.types(&clerk).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn users_are_created_and_deleted() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let ada = clerk.add_user(FakeUser::new("ada@example.com"));
    let data = only(inbox.events(&clerk).await, "user.created");
    assert_eq!((&data["id"], &data["object"]), (&json!(ada), &json!("user")));
    assert_eq!(data["email_addresses"][0]["email_address"], "ada@example.com");
    clerk.add_user(FakeUser::new("ada@example.com").id(&ada).username("ada"));
    assert_eq!(only(inbox.events(&clerk).await, "user.updated")["username"], "ada");
    clerk.open_session("ada");
    inbox.events(&clerk).await;
    clerk.delete_user("ada");
    let data = only(inbox.events(&clerk).await, "user.deleted");
    assert_eq!(data, json!({ "object": "user", "id": ada, "deleted": true }));
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_session_is_told() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let [(created, data), (updated, user)] = inbox.events(&clerk).await.try_into().unwrap();
    assert_eq!((created.as_str(), updated.as_str()), ("session.created", "user.updated"));
    assert_eq!((&data["status"], &data["user"]["id"]), (&json!("active"), &user["id"]));
    assert!(session.ends_with(data["id"].as_str().unwrap()) && data["user_id"] == user["id"]);
    caller.post(&format!("{session}/tokens"), &[]).await.ok();
    caller.post(&format!("{session}/touch"), &[]).await.ok();
    caller.get("/v1/client").await.ok();
    assert_eq!(inbox.types(&clerk).await, Vec::<String>::new());
    caller.post(&format!("{session}/end"), &[]).await.ok();
    assert_eq!(only(inbox.events(&clerk).await, "session.ended")["status"], "ended");

    clerk.reconfigure(|settings| settings.sign_in_updates_user(false));
    let session = caller.session("jane", JANE).await;
    assert_eq!(inbox.types(&clerk).await, ["session.created"]);
    caller.post(&format!("{session}/remove"), &[]).await.ok();
    assert_eq!(only(inbox.events(&clerk).await, "session.removed")["status"], "removed");

    for _ in 0..2 {
        clerk.open_session("jane");
    }
    inbox.events(&clerk).await;
    clerk.ban("jane");
    let events = inbox.events(&clerk).await;
    let types: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["session.revoked", "session.revoked", "user.updated"]);
    assert_eq!(events[0].1["user"]["banned"], true);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_tasks_is_pending_until_they_are_done() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder().sign_in_updates_user(false));
    clerk.pending_task("bob", "choose-organization");
    let mut caller = Caller::new(&clerk);
    let session = caller.session("bob", "hunter2hunter2").await;
    assert_eq!(only(inbox.events(&clerk).await, "session.pending")["status"], "pending");
    caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    assert_eq!(only(inbox.events(&clerk).await, "session.created")["status"], "active");
    let id = session.rsplit('/').next().unwrap();
    assert!(clerk.add_task(id, "setup-mfa"));
    let data = only(inbox.events(&clerk).await, "session.pending");
    assert_eq!((&data["id"], clerk.sessions()[0].status().as_str()), (&json!(id), "pending"));
    assert!(clerk.revoke_session(id) && !clerk.add_task(id, "setup-mfa"));
    assert_eq!(inbox.types(&clerk).await, ["session.revoked"]);
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_are_told_only_once_they_lock() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder().no_rate_limit().lockout(3, Duration::from_secs(60)));
    for expected in [0, 0, 1, 0] {
        Caller::new(&clerk).sign_in("jane", "wrong").await;
        let events = inbox.events(&clerk).await;
        assert_eq!(events.len(), expected);
        assert!(events.iter().all(|(kind, data)| kind == "user.updated" && data["locked"] == true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_password_by_mail_is_told() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder().no_rate_limit().sign_in_updates_user(false));
    clerk.open_session("expired@example.com");
    let mut caller = Caller::new(&clerk);
    let begun = caller.sign_in("expired@example.com", "please choose a new one").await.ok();
    inbox.events(&clerk).await;
    let path = format!("/v1/client/sign_ins/{}/reset_password", begun["response"]["id"].as_str().unwrap());
    let form = [("password", "a new one, long enough"), ("sign_out_of_other_sessions", "true")];
    caller.post(&path, &form).await.ok();
    assert_eq!(inbox.types(&clerk).await, ["session.created", "session.revoked", "user.updated"]);
}

#[tokio::test(start_paused = true)]
async fn memberships_and_organizations_are_told() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let carol = clerk.user_id("carol@example.com").unwrap();
    clerk.add_member("carol@example.com", "acme", "org:member");
    let data = only(inbox.events(&clerk).await, "organizationMembership.created");
    let acme = clerk.organization_id("acme").unwrap();
    assert_eq!((&data["organization"]["id"], &data["role"]), (&json!(acme), &json!("org:member")));
    assert_eq!(data["public_user_data"]["user_id"], json!(carol));
    assert_eq!(data["organization"]["members_count"], 3);
    advance(Duration::from_secs(1)).await;
    clerk.add_member("carol@example.com", "acme", "org:admin");
    let changed = only(inbox.events(&clerk).await, "organizationMembership.updated");
    assert_eq!((&changed["id"], &changed["role"]), (&data["id"], &json!("org:admin")));
    assert_eq!(changed["updated_at"].as_i64().unwrap(), changed["created_at"].as_i64().unwrap() + 1000);
    clerk.remove_member("carol@example.com", "acme");
    let gone = only(inbox.events(&clerk).await, "organizationMembership.deleted");
    assert_eq!((&gone["id"], &gone["organization"]["members_count"]), (&data["id"], &json!(2)));
    clerk.remove_member("carol@example.com", "acme");
    assert_eq!(inbox.types(&clerk).await, Vec::<String>::new());

    clerk.set_slug("acme", "acme-ltd");
    assert_eq!(only(inbox.events(&clerk).await, "organization.updated")["slug"], "acme-ltd");
    assert_eq!(clerk.organization_id("acme"), None);
    clerk.delete_organization("acme-ltd");
    let data = only(inbox.events(&clerk).await, "organization.deleted");
    let gone = json!({ "object": "organization", "id": acme, "slug": "acme-ltd", "deleted": true });
    assert_eq!(data, gone);
    clerk.add_organization(FakeOrganization::new("acme").id("org_1"));
    assert_eq!(only(inbox.events(&clerk).await, "organization.created")["id"], "org_1");
    clerk.add_organization(FakeOrganization::new("acme").id("org_1").name("Acme Ltd."));
    assert_eq!(only(inbox.events(&clerk).await, "organization.updated")["name"], "Acme Ltd.");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_organization_is_active_in_no_session() {
    let (clerk, _) = Inbox::of(FakeClerk::builder());
    let mut caller = Caller::new(&clerk);
    let session = caller.session("bob", "hunter2hunter2").await;
    caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    clerk.delete_organization("acme");
    let shown = caller.get(&session).await.ok();
    assert_eq!(shown["response"]["last_active_organization_id"], Value::Null);
    assert_eq!(shown["response"]["user"]["organization_memberships"], json!([]));
    assert!(clerk.sessions()[0].is_live());
}

#[tokio::test(start_paused = true)]
async fn roles_and_permissions_are_told() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let mut caller = Caller::new(&clerk);
    clerk.set_role("org:member", ["org:invoices:read", "org:invoices:send"]);
    let [(created, permission), (updated, role)] = inbox.events(&clerk).await.try_into().unwrap();
    assert_eq!((created.as_str(), updated.as_str()), ("permission.created", "role.updated"));
    assert_eq!((&permission["key"], &role["key"]), (&json!("org:invoices:send"), &json!("org:member")));
    let session = caller.session("bob", "hunter2hunter2").await;
    let acme = clerk.organization_id("acme").unwrap();
    let token = caller.post(&format!("{session}/tokens"), &[("organization_id", &acme)]).await.ok();
    assert_eq!(super::caller::part(&token["jwt"], 1)["o"]["per"], "read,send");
    inbox.events(&clerk).await;
    clerk.set_role("org:guest", ["org:invoices:read"]);
    assert_eq!(only(inbox.events(&clerk).await, "role.created")["permissions"].as_array().unwrap().len(), 1);
    clerk.add_member("carol@example.com", "acme", "org:guest");
    clerk.remove_member("carol@example.com", "acme");
    inbox.events(&clerk).await;
    clerk.delete_role("org:guest");
    assert_eq!(only(inbox.events(&clerk).await, "role.deleted")["deleted"], true);
    clerk.delete_permission("org:invoices:send");
    assert_eq!(only(inbox.events(&clerk).await, "permission.deleted")["id"], permission["id"]);
}

#[test]
#[should_panic(expected = r#"a member has the role "org:admin""#)]
fn a_role_that_a_member_has_is_not_deleted() {
    FakeClerk::new().delete_role("org:admin");
}

#[tokio::test(start_paused = true)]
async fn an_event_flies_before_the_answer_that_a_test_holds_back() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder().sign_in_updates_user(false));
    let hold = clerk.hold_answer(fake_clerk::Endpoint::SignIns);
    let sign_in = tokio::spawn({
        let mut caller = Caller::new(&clerk);
        async move { caller.sign_in("jane", JANE).await }
    });
    hold.arrived(1).await;
    assert_eq!(inbox.types(&clerk).await, ["session.created"]);
    hold.release();
    sign_in.await.unwrap().ok();
}
