//! `/v1/api_keys`, and the keys of the demo accounts.

use std::time::Duration;

use fake_clerk::{Endpoint, FakeApiKey, FakeClerk, InvalidApiKey};
use serde_json::{Value, json};
use tokio::time::advance;

use super::caller::{Got, Server};

const VERIFY: &str = "/v1/api_keys/verify";
const MINUTE: Duration = Duration::from_secs(60);

async fn verify(server: &Server, secret: &str) -> Got {
    server.post(VERIFY, json!({ "secret": secret })).await
}

#[tokio::test(start_paused = true)]
async fn the_demo_keys_have_the_same_ids_and_secrets_at_every_start() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let jane = server.user("username=jane").await;
    // Pinned, because programs and READMEs name these secrets.
    for (owner, secret, subject, scopes) in [
        ("jane", "ak_4lluZtXyjjvODUza0zcOo95evMLoJA6Rz20uIbUY", jane.as_str(), json!(["invoices:read"])),
        (
            "acme",
            "ak_KXl3ivYQMZvmjH1cpbhsNLDOTLaJHPMlg91vydUJ",
            "org_ojHFcumdg8ZxYa1pebKSFy9ijB5",
            json!(["invoices:read", "invoices:manage"]),
        ),
    ] {
        assert_eq!(clerk.demo_api_key(owner).1, secret);
        let key = verify(&server, secret).await.ok();
        assert_eq!((&key["id"], &key["type"]), (&json!(clerk.demo_api_key(owner).0), &json!("api_key")));
        assert_eq!((&key["subject"], &key["scopes"]), (&json!(subject), &scopes));
        assert_eq!(key["created_by"], json!(jane));
        assert_eq!((&key["revoked"], &key["expired"]), (&json!(false), &json!(false)));
        assert!(key.get("secret").is_none() && key["last_used_at"].is_i64(), "{key}");
    }
    assert_eq!(clerk.count(Endpoint::VerifyApiKey), 2);
    assert!(FakeClerk::builder().empty().build().count(Endpoint::Any) == 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_created_listed_changed_revoked_and_deleted() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let carol = server.user("email_address=carol%40example.com").await;
    let asked = json!({
        "name": "nightly", "subject": carol, "scopes": ["a", "b"], "claims": {"team": 7},
        "created_by": carol, "description": "for the build", "seconds_until_expiration": 60,
    });
    let made = server.post("/v1/api_keys", asked).await.ok();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert!(id.starts_with("ak_") && id.len() == 35 && secret.starts_with("ak_"), "{made}");
    let path = format!("/v1/api_keys/{id}");
    assert_eq!(server.get(&format!("{path}/secret")).await.ok(), json!({ "secret": secret }));
    let shown = server.get(&path).await.ok();
    assert_eq!((&shown["claims"], &shown["name"]), (&json!({"team": 7}), &json!("nightly")));
    let list = format!("/v1/api_keys?subject={carol}");
    assert_eq!(server.get(&list).await.ok()["total_count"], 1);

    let change = server.request("PATCH", &path, r#"{"scopes":["c"],"seconds_until_expiration":null}"#);
    let changed = server.send(change).await.ok();
    assert_eq!((&changed["scopes"], &changed["expiration"]), (&json!(["c"]), &Value::Null));
    advance(2 * MINUTE).await;
    assert_eq!(verify(&server, secret).await.ok()["scopes"], json!(["c"]));

    let revoked = server.post(&format!("{path}/revoke"), json!({ "revocation_reason": "leaked" })).await.ok();
    assert_eq!((&revoked["revoked"], &revoked["revocation_reason"]), (&json!(true), &json!("leaked")));
    assert_eq!(server.get(&list).await.ok()["total_count"], 0, "a revoked key is left out");
    assert_eq!(server.get(&format!("{list}&include_invalid=true")).await.ok()["total_count"], 1);
    let gone = server.send(server.request("DELETE", &path, "")).await.ok();
    assert_eq!(gone, json!({ "object": "api_key", "id": id, "deleted": true }));
    for answer in [server.get(&path).await, verify(&server, secret).await] {
        assert_eq!(answer.refusal(), (404, "resource_not_found"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_or_expired_key_is_answered_as_the_setting_says() {
    for (answer, revoked, expired) in [
        (InvalidApiKey::Flagged, (200, ""), (200, "")),
        (InvalidApiKey::NotFound, (404, "resource_not_found"), (404, "resource_not_found")),
        (InvalidApiKey::BadRequest, (400, "api_key_revoked"), (400, "api_key_expired")),
    ] {
        let clerk = FakeClerk::builder().invalid_api_key(answer).build();
        let server = Server::new(&clerk);
        let (id, secret) = clerk.demo_api_key("jane");
        let short = clerk.add_api_key(FakeApiKey::new("bob").expires_in(MINUTE));
        let short = clerk.api_key_secret(&short);
        assert_eq!(verify(&server, &short).await.ok()["expired"], json!(false));
        clerk.revoke_api_key(&id);
        advance(MINUTE).await;
        let (of_revoked, of_expired) = (verify(&server, &secret).await, verify(&server, &short).await);
        assert_eq!((of_revoked.refusal(), of_expired.refusal()), (revoked, expired), "{answer:?}");
        if answer == InvalidApiKey::Flagged {
            assert_eq!(
                (&of_revoked.body["revoked"], &of_expired.body["expired"]),
                (&json!(true), &json!(true))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_key_is_in_milliseconds_or_in_seconds() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let secret = clerk.api_key_secret(&clerk.add_api_key(FakeApiKey::new("jane").expires_in(MINUTE)));
    let in_ms = verify(&server, &secret).await.ok()["expiration"].as_i64().unwrap();
    clerk.reconfigure(|settings| settings.api_key_expiration_in_seconds(true));
    let in_seconds = verify(&server, &secret).await.ok()["expiration"].as_i64().unwrap();
    assert!(in_ms > 1_000_000_000_000 && in_seconds == in_ms / 1000);
}

#[tokio::test(start_paused = true)]
async fn requests_that_clerk_would_refuse_are_refused() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let jane = server.user("username=jane").await;
    let create = |more: Value| {
        let mut body = json!({ "name": "nightly", "subject": jane });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let invalid = (400, "request_body_invalid");
    for more in [
        json!({ "name": "ab" }),
        json!({ "name": " nightly" }),
        json!({ "subject": "jane" }),
        json!({ "subject": "team_000000000000000000000000000" }),
        json!({ "created_by": "org_ojHFcumdg8ZxYa1pebKSFy9ijB5" }),
        json!({ "scopes": "a" }),
        json!({ "scopes": [1] }),
        json!({ "type": "ab" }),
        json!({ "seconds_until_expiration": 0 }),
        json!({ "description": "x".repeat(256) }),
        json!({ "colour": "blue" }),
    ] {
        assert_eq!(server.post("/v1/api_keys", create(more.clone())).await.refusal(), invalid, "{more}");
    }
    for body in [json!({}), json!({ "secret": 7 }), json!({ "secret": "ak_x", "more": 1 })] {
        assert_eq!(server.post(VERIFY, body).await.refusal(), invalid);
    }
    assert_eq!(server.get("/v1/api_keys").await.refusal(), invalid, "the subject is required");
    assert_eq!(server.get("/v1/api_keys/ak_short").await.refusal(), invalid);
    assert_eq!(server.get(VERIFY).await.status, 405);
    clerk.reconfigure(|settings| settings.api_keys(false));
    let (_, secret) = clerk.demo_api_key("jane");
    assert_eq!(verify(&server, &secret).await.refusal(), (422, "api_keys_not_enabled"));
    clerk.reconfigure(|settings| settings.api_keys(true));
    assert_eq!(verify(&server, &secret).await.status, 200, "the key was not revoked");
}

#[tokio::test(start_paused = true)]
async fn an_organization_is_shown_by_id_or_slug() {
    let server = Server::new(&FakeClerk::new());
    for name in ["acme", "org_ojHFcumdg8ZxYa1pebKSFy9ijB5"] {
        let shown = server.get(&format!("/v1/organizations/{name}")).await.ok();
        assert_eq!((&shown["slug"], &shown["object"]), (&json!("acme"), &json!("organization")));
    }
    assert_eq!(server.get("/v1/organizations/nobody").await.refusal(), (404, "resource_not_found"));
}
