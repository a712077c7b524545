//! Checks the stand-in's Backend API against Clerk's OpenAPI description.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tower_clerk::testing::{FakeClerk, FakeClerkBuilder, FakeUser};
use tower_clerk::transport::Transport;

use super::openapi::{BACKEND, OpenApi};
use super::{note, skipped, text};

struct Checks {
    description: OpenApi,
    /// The operations that were called, and whether they were refused.
    seen: BTreeSet<String>,
    /// Each violation once, with the first response that had it.
    wrong: BTreeMap<String, String>,
}

/// A server that talks to a stand-in, and validates each response against the description.
struct Talk<'a> {
    checks: &'a mut Checks,
    clerk: FakeClerk,
}

impl Checks {
    fn talk(&mut self, settings: FakeClerkBuilder) -> Talk<'_> {
        Talk { checks: self, clerk: settings.build() }
    }
}

impl Talk<'_> {
    /// Calls an operation, named as in the description, with the values of its path variables and an optional query.
    async fn ask(
        &mut self,
        status: u16,
        operation: &str,
        variables: &[&str],
        query: &str,
        body: Value,
    ) -> Value {
        let (method, template) = operation.split_once(' ').expect("a method and a path");
        let mut variables = variables.iter();
        let parts = template.split('/').map(|part| match part.starts_with('{') {
            true => variables.next().expect("each part of the path"),
            false => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1{path}{query}", self.clerk.backend_url()))
            .header(AUTHORIZATION, format!("Bearer {}", self.clerk.secret_key()));
        if !body.is_null() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.clerk.send(request.body(body).expect("a request")).await.expect("an answer");
        let what = format!("{method} {path}{query}, {}", answer.status());
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("{what}: no JSON"));
        assert_eq!(answer.status(), status, "{what}: {body}");
        let checks = &mut *self.checks;
        let schema = checks.description.answer(method, template, status);
        let schema = schema.unwrap_or_else(|| panic!("{what}: there is no schema"));
        for error in schema.iter_errors(&body) {
            note(&error, &what, &mut checks.wrong);
        }
        checks.seen.insert(format!("{operation} {}", if status < 400 { "ok" } else { "refused" }));
        body
    }

    async fn get(&mut self, status: u16, operation: &str, variables: &[&str], query: &str) -> Value {
        self.ask(status, operation, variables, query, Value::Null).await
    }

    async fn post(&mut self, status: u16, operation: &str, variables: &[&str], body: Value) -> Value {
        self.ask(status, operation, variables, "", body).await
    }
}

/// Looks up every user, and reads everything about each.
async fn users(talk: &mut Talk<'_>) {
    let odd =
        FakeUser::new("odd").unverified_email("odd@example.com").phone("+4930123456").name("Odd", "One");
    talk.clerk.add_user(odd);
    let all = talk.get(200, "GET /users", &[], "?limit=500").await;
    for user in all.as_array().expect("a list") {
        let id = text(user, "/id");
        talk.get(200, "GET /users/{user_id}", &[id], "").await;
        talk.get(200, "GET /users/{user_id}/organization_memberships", &[id], "").await;
    }
    for query in ["?order_by=created_at", "?order_by=-updated_at", "?external_id=1", "?created_at_after=0"] {
        talk.get(200, "GET /users", &[], query).await;
    }
    talk.get(200, "GET /users/count", &[], "").await;
    talk.get(422, "GET /users/count", &[], "?limit=1").await;
    talk.get(422, "GET /users", &[], "?limit=0").await;
    talk.get(422, "GET /users", &[], "?starting_after=user_1&order_by=username").await;
    talk.get(404, "GET /users/{user_id}", &["user_nobody"], "").await;
    talk.get(404, "GET /users/{user_id}/organization_memberships", &["user_nobody"], "").await;
    let jane = talk.get(200, "GET /users", &[], "?username=jane").await;
    let jane = text(&jane, "/0/id");
    let check = "POST /users/{user_id}/verify_password";
    talk.post(200, check, &[jane], json!({ "password": "correct horse battery staple" })).await;
    talk.post(422, check, &[jane], json!({ "password": "wrong" })).await;
    talk.post(404, check, &["user_nobody"], json!({ "password": "wrong" })).await;
    let bob = talk.get(200, "GET /users", &[], "?email_address=bob%40example.com").await;
    let bob = text(&bob, "/0/id");
    for action in ["lock", "unlock", "ban", "unban"] {
        let operation = format!("POST /users/{{user_id}}/{action}");
        talk.post(200, &operation, &[bob], Value::Null).await;
        talk.post(404, &operation, &["user_nobody"], Value::Null).await;
    }
    let change = "PATCH /users/{user_id}";
    talk.post(200, change, &[bob], json!({ "bypass_client_trust": true })).await;
    talk.post(200, change, &[bob], json!({ "password": "long enough", "first_name": "Rob" })).await;
    talk.post(200, change, &[bob], json!({ "totp_secret": "JBSWY3DPEHPK3PXP" })).await;
    talk.post(422, change, &[bob], json!({ "password": "short" })).await;
    talk.post(422, change, &[bob], json!({ "favourite_colour": "blue" })).await;
    talk.get(200, "DELETE /users/{user_id}/mfa", &[bob], "").await;
    talk.get(200, "DELETE /users/{user_id}/totp", &[bob], "").await;
    talk.post(200, "POST /users/{user_id}/remove_password", &[bob], Value::Null).await;
    talk.get(200, "DELETE /users/{user_id}", &[bob], "").await;
    talk.get(404, "DELETE /users/{user_id}", &[bob], "").await;
}

async fn organizations(talk: &mut Talk<'_>) {
    let acme = talk.clerk.organization_id("acme").expect("a demo organization");
    let carol = talk.clerk.user_id("carol@example.com").expect("a demo account");
    let (acme, carol) = (acme.as_str(), carol.as_str());
    talk.get(200, "GET /organizations/{organization_id}", &["acme"], "").await;
    talk.get(404, "GET /organizations/{organization_id}", &["nobody"], "").await;
    let members = "GET /organizations/{organization_id}/memberships";
    for list in ["GET /organizations", "GET /organization_memberships"] {
        talk.get(200, list, &[], "?limit=500&order_by=created_at").await;
        talk.get(422, list, &[], "?limit=501").await;
    }
    talk.get(200, "GET /organizations", &[], "?include_members_count=true").await;
    talk.get(200, members, &[acme], "?role=org:admin").await;
    talk.get(422, members, &[acme], "?order_by=role").await;
    let change = "PATCH /organizations/{organization_id}";
    talk.post(200, change, &[acme], json!({ "name": "Acme Ltd.", "slug": "acme-ltd" })).await;
    talk.post(422, change, &[acme], json!({ "slug": "globex" })).await;
    let add = "POST /organizations/{organization_id}/memberships";
    let carol_as = |role: &str| json!({ "user_id": carol, "role": role });
    talk.post(404, add, &[acme], carol_as("org:nobody")).await;
    talk.post(200, add, &[acme], carol_as("org:member")).await;
    talk.post(400, add, &[acme], carol_as("org:member")).await;
    let member = "/organizations/{organization_id}/memberships/{user_id}";
    talk.post(200, &format!("PATCH {member}"), &[acme, carol], json!({ "role": "org:admin" })).await;
    talk.get(200, &format!("DELETE {member}"), &[acme, carol], "").await;
    talk.get(404, &format!("DELETE {member}"), &[acme, carol], "").await;
    talk.get(200, "DELETE /organizations/{organization_id}", &[acme], "").await;
    talk.get(404, "DELETE /organizations/{organization_id}", &[acme], "").await;
}

async fn sessions_and_tickets(talk: &mut Talk<'_>) {
    let jane = talk.get(200, "GET /users", &[], "?username=jane").await;
    let jane = text(&jane, "/0/id");
    let memberships =
        talk.get(200, "GET /users/{user_id}/organization_memberships", &[jane], "?limit=1").await;
    let organization = text(&memberships, "/data/0/organization/id");
    let made = talk
        .post(200, "POST /sessions", &[], json!({ "user_id": jane, "active_organization_id": organization }))
        .await;
    talk.post(404, "POST /sessions", &[], json!({ "user_id": "user_nobody" })).await;
    let session = text(&made, "/id");
    talk.get(200, "GET /sessions/{session_id}", &[session], "").await;
    talk.get(404, "GET /sessions/{session_id}", &["sess_nobody"], "").await;
    talk.get(200, "GET /sessions", &[], &format!("?user_id={jane}&status=active")).await;
    talk.get(422, "GET /sessions", &[], &format!("?user_id={jane}&status=alive")).await;
    talk.clerk.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    let (mint, from_template) =
        ("POST /sessions/{session_id}/tokens", "POST /sessions/{session_id}/tokens/{template_name}");
    talk.post(200, mint, &[session], Value::Null).await;
    talk.post(200, mint, &[session], json!({ "expires_in_seconds": 300 })).await;
    talk.post(422, mint, &[session], json!({ "expires_in_seconds": 3 })).await;
    talk.post(200, from_template, &[session, "partner"], Value::Null).await;
    talk.post(404, from_template, &[session, "unknown"], Value::Null).await;
    let revoke = "POST /sessions/{session_id}/revoke";
    talk.post(200, revoke, &[session], Value::Null).await;
    talk.post(400, revoke, &[session], Value::Null).await;
    talk.post(404, mint, &[session], Value::Null).await;
    talk.clerk.pending_task("jane", "setup-mfa");
    let pending = talk.post(200, "POST /sessions", &[], json!({ "user_id": jane })).await;
    talk.get(200, "GET /sessions/{session_id}", &[text(&pending, "/id")], "").await;
    let tickets = "POST /sign_in_tokens";
    let ticket = talk.post(200, tickets, &[], json!({ "user_id": jane, "org_id": organization })).await;
    talk.post(404, tickets, &[], json!({ "user_id": jane, "org_id": "org_nobody" })).await;
    let revoke = "POST /sign_in_tokens/{sign_in_token_id}/revoke";
    talk.post(200, revoke, &[text(&ticket, "/id")], Value::Null).await;
    talk.post(400, revoke, &[text(&ticket, "/id")], Value::Null).await;
}

/// Makes a key, and does to it whatever can be done.
async fn api_keys(talk: &mut Talk<'_>) {
    let jane = talk.get(200, "GET /users", &[], "?username=jane").await;
    let jane = text(&jane, "/0/id");
    talk.get(200, "GET /organizations/{organization_id}", &["acme"], "").await;
    talk.get(404, "GET /organizations/{organization_id}", &["nobody"], "").await;
    let create = "POST /api_keys";
    let made =
        json!({ "name": "nightly", "subject": jane, "created_by": jane, "seconds_until_expiration": 60 });
    let made = talk.post(200, create, &[], made).await;
    talk.post(400, create, &[], json!({ "name": "ni" })).await;
    let (id, secret) = (text(&made, "/id"), text(&made, "/secret"));
    let unknown = format!("ak_{}", "0".repeat(32));
    talk.get(200, "GET /api_keys", &[], &format!("?subject={jane}&include_invalid=true")).await;
    talk.get(400, "GET /api_keys", &[], "").await;
    for (status, id) in [(200, id), (404, &*unknown), (400, "ak_1")] {
        talk.get(status, "GET /api_keys/{apiKeyID}", &[id], "").await;
        talk.get(status, "GET /api_keys/{apiKeyID}/secret", &[id], "").await;
        talk.ask(status, "PATCH /api_keys/{apiKeyID}", &[id], "", json!({ "scopes": ["read"] })).await;
        talk.post(status, "POST /api_keys/{apiKeyID}/revoke", &[id], json!({ "revocation_reason": "x" }))
            .await;
    }
    let verify = "POST /api_keys/verify";
    talk.post(200, verify, &[], json!({ "secret": secret })).await;
    talk.post(404, verify, &[], json!({ "secret": "ak_unknown" })).await;
    talk.post(400, verify, &[], json!({})).await;
    for (status, id) in [(200, id), (404, id), (400, "ak_1")] {
        talk.ask(status, "DELETE /api_keys/{apiKeyID}", &[id], "", Value::Null).await;
    }
    let (_, secret) = talk.clerk.demo_api_key("acme");
    talk.clerk.reconfigure(|settings| settings.api_keys(false));
    talk.post(422, verify, &[], json!({ "secret": secret })).await;
}

#[test]
fn the_stand_ins_backend_api_matches_the_openapi_description() {
    let Some(folder) = env::var_os("CLERK_SCHEMAS") else { return skipped() };
    let description = OpenApi::load(Path::new(&folder), BACKEND);
    let mut checks = Checks { description, seen: BTreeSet::new(), wrong: BTreeMap::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let settings = || FakeClerk::builder().no_rate_limit();
        for settings in [settings(), settings().no_lockout()] {
            users(&mut checks.talk(settings)).await;
        }
        organizations(&mut checks.talk(settings())).await;
        sessions_and_tickets(&mut checks.talk(settings())).await;
        api_keys(&mut checks.talk(settings())).await;
        let mut production = checks.talk(settings().secret_key("sk_live_0123"));
        production.get(200, "GET /jwks", &[], "").await;
        production.get(200, "GET /instance", &[], "").await;
        production.post(400, "POST /sessions", &[], json!({ "user_id": "user_any" })).await;
        let mut limited = checks.talk(FakeClerk::builder().backend_limit(0, Duration::from_secs(10)));
        limited.get(429, "GET /instance", &[], "").await;
    });
    let Checks { seen, wrong, .. } = checks;
    let listed: Vec<String> = wrong.iter().map(|(error, what)| format!("{error} ({what})")).collect();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), listed.join("\n"));
    assert!(seen.len() >= 63, "{seen:?}");
}
