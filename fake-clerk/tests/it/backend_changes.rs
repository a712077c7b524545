//! Changes of users, organizations and members through the Backend API.

use fake_clerk::FakeClerk;
use serde_json::{Value, json};

use super::caller::{Caller, Got, JANE, Server};
use super::inbox::Inbox;

struct Office {
    clerk: FakeClerk,
    inbox: Inbox,
    server: Server,
    jane: String,
    acme: String,
}

impl Office {
    fn new() -> Self {
        let settings = FakeClerk::builder().no_rate_limit().sign_in_updates_user(false);
        let (clerk, inbox) = Inbox::of(settings);
        let server = Server::new(&clerk);
        let (jane, acme) = (clerk.user_id("jane").unwrap(), clerk.organization_id("acme").unwrap());
        Self { clerk, inbox, server, jane, acme }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Got {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.server.send(self.server.request(method, path, &body)).await
    }

    async fn types(&self) -> Vec<String> {
        self.inbox.types(&self.clerk).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_and_an_authenticator_app_are_set() {
    let office = Office::new();
    let path = format!("/v1/users/{}", office.jane);
    let session = Caller::new(&office.clerk).session("jane", JANE).await;
    office.types().await;
    let wrong = office.ask("PATCH", &path, json!({ "password": "short" })).await;
    assert_eq!(wrong.refusal(), (422, "form_password_length_too_short"));
    let wrong = office.ask("PATCH", &path, json!({ "totp_secret": "not base 32!" })).await;
    assert_eq!(wrong.refusal(), (422, "form_param_value_invalid"));
    assert_eq!(office.types().await, Vec::<String>::new());
    office.ask("PATCH", &path, json!({ "password": "short", "skip_password_checks": true })).await.ok();
    assert_eq!(office.types().await, ["user.updated"]);
    assert_eq!(office.clerk.live_sessions_of("jane"), 1, "{session}");
    let all = json!({ "password": "long enough", "sign_out_of_other_sessions": true, "first_name": "Joan" });
    assert_eq!(office.ask("PATCH", &path, all).await.ok()["first_name"], "Joan");
    assert_eq!(office.types().await, ["session.revoked", "user.updated"]);
    Caller::new(&office.clerk).session("jane", "long enough").await;
    let shown = office.ask("PATCH", &path, json!({ "totp_secret": "JBSWY3DPEHPK3PXP" })).await.ok();
    assert_eq!((&shown["two_factor_enabled"], shown["mfa_enabled_at"].is_i64()), (&json!(true), true));
    assert!(office.clerk.totp_code("jane").is_some());
    for factor in ["mfa", "totp"] {
        let gone = office.ask("DELETE", &format!("{path}/{factor}"), Value::Null).await.ok();
        assert_eq!(gone, json!({ "user_id": office.jane }));
        assert_eq!(office.clerk.totp_code("jane"), None);
    }
    assert_eq!(office.ask("DELETE", "/v1/users/user_nobody/mfa", Value::Null).await.status, 404);
    office.types().await;
    let removed = office.ask("POST", &format!("{path}/remove_password"), Value::Null).await.ok();
    assert_eq!(removed["password_enabled"], false);
    assert_eq!(office.types().await, ["user.updated"]);
    office.ask("POST", &format!("{path}/remove_password"), Value::Null).await.ok();
    assert_eq!(office.types().await, Vec::<String>::new(), "there was no password");
}

#[tokio::test(start_paused = true)]
async fn a_user_is_deleted_with_all_sessions() {
    let office = Office::new();
    let path = format!("/v1/users/{}", office.jane);
    office.clerk.open_session("jane");
    office.types().await;
    let deleted = json!({ "object": "user", "id": office.jane, "deleted": true });
    assert_eq!(office.ask("DELETE", &path, Value::Null).await.ok(), deleted);
    assert_eq!((office.types().await, office.clerk.live_sessions()), (vec!["user.deleted".to_owned()], 0));
    assert_eq!(office.ask("DELETE", &path, Value::Null).await.refusal(), (404, "resource_not_found"));
    let again = office.clerk.add_user(fake_clerk::FakeUser::new("jane@example.com"));
    assert_ne!(again, office.jane);
}

#[tokio::test(start_paused = true)]
async fn an_organization_is_shown_changed_and_deleted() {
    let office = Office::new();
    let path = format!("/v1/organizations/{}", office.acme);
    let shown = office.ask("GET", "/v1/organizations/acme", Value::Null).await.ok();
    assert_eq!((&shown["id"], &shown["members_count"]), (&json!(office.acme), &json!(2)));
    for (body, refusal) in [
        (json!({ "slug": "globex" }), (422, "form_identifier_exists")),
        (json!({ "slug": "Acme Inc" }), (422, "form_param_format_invalid")),
        (json!({ "slug": 1 }), (422, "form_param_value_invalid")),
        (json!({ "colour": "blue" }), (422, "form_param_unknown")),
    ] {
        assert_eq!(office.ask("PATCH", &path, body.clone()).await.refusal(), refusal, "{body}");
    }
    assert_eq!(office.ask("PATCH", "/v1/organizations/acme", json!({ "name": "A" })).await.status, 404);
    assert_eq!(office.types().await, Vec::<String>::new());
    let body = json!({ "name": "Acme Ltd.", "slug": "acme-ltd" });
    let shown = office.ask("PATCH", &path, body).await.ok();
    assert_eq!((&shown["name"], &shown["slug"]), (&json!("Acme Ltd."), &json!("acme-ltd")));
    let gone = office.ask("DELETE", &path, Value::Null).await.ok();
    assert_eq!(gone, json!({ "object": "organization", "id": office.acme, "deleted": true }));
    assert_eq!(office.types().await, ["organization.deleted", "organization.updated"]);
    assert_eq!(office.ask("DELETE", &path, Value::Null).await.refusal(), (404, "resource_not_found"));
    let memberships = format!("/v1/users/{}/organization_memberships", office.jane);
    assert_eq!(office.ask("GET", &memberships, Value::Null).await.ok()["total_count"], 1);
}

#[tokio::test(start_paused = true)]
async fn members_are_added_changed_and_removed() {
    let office = Office::new();
    let members = format!("/v1/organizations/{}/memberships", office.acme);
    let carol = office.clerk.user_id("carol@example.com").unwrap();
    let member = format!("{members}/{carol}");
    for (body, refusal) in [
        (json!({ "user_id": carol }), (422, "form_param_missing")),
        (json!({ "user_id": carol, "role": "org:nobody" }), (404, "resource_not_found")),
        (json!({ "user_id": "user_nobody", "role": "org:member" }), (404, "resource_not_found")),
        (json!({ "user_id": office.jane, "role": "org:member" }), (400, "already_a_member_in_organization")),
    ] {
        assert_eq!(office.ask("POST", &members, body.clone()).await.refusal(), refusal, "{body}");
    }
    for method in ["PATCH", "DELETE"] {
        let got = office.ask(method, &member, Value::Null).await;
        assert_eq!(got.refusal(), (404, "resource_not_found"), "{method}");
    }
    assert_eq!(office.types().await, Vec::<String>::new());
    let added = office.ask("POST", &members, json!({ "user_id": carol, "role": "org:member" })).await.ok();
    let changed = office.ask("PATCH", &member, json!({ "role": "org:admin" })).await.ok();
    assert_eq!((&changed["id"], &changed["role"]), (&added["id"], &json!("org:admin")));
    assert_eq!(office.ask("PATCH", &member, json!({ "role": "org:nobody" })).await.status, 404);
    let removed = office.ask("DELETE", &member, Value::Null).await.ok();
    assert_eq!(removed["id"], added["id"]);
    let expected = ["created", "deleted", "updated"].map(|it| format!("organizationMembership.{it}"));
    assert_eq!(office.types().await, expected);
    assert_eq!(office.ask("PUT", &members, Value::Null).await.status, 405);
}
