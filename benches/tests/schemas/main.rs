//! Checks the stand-in's responses against Clerk's descriptions.
//!
//! The descriptions belong to Clerk and aren't part of this repository. `CLERK_SCHEMAS` names the folder with
//! `fapi-2025-11-10.schemas.json`, a JSON Schema that has in `responses` a schema for each kind of response of the
//! Frontend API, and the OpenAPI descriptions `bapi-2026-05-12.yml` of the Backend API and `webhooks-2025-04-15.yml` of
//! webhooks.

mod backend;
mod frontend;
mod openapi;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Value, json};
use tower_clerk::testing::{Endpoint, FakeClerk, Fault, RetryAfter};
use tower_clerk::transport::Transport;

use self::frontend::{Schemas, Talk};

const JANE: [(&str, &str); 3] = [
    ("strategy", "password"),
    ("identifier", "jane@example.com"),
    ("password", "correct horse battery staple"),
];

/// Records an error or, for alternatives, the errors of the closest one, whose errors are the deepest.
fn note(error: &ValidationError<'_>, what: &str, wrong: &mut BTreeMap<String, String>) {
    let depth = |error: &ValidationError<'_>| error.instance_path().as_str().matches('/').count();
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } =
        error.kind()
    {
        let closest = context.iter().max_by_key(|errors| errors.iter().map(depth).max());
        closest.into_iter().flatten().for_each(|error| note(error, what, wrong));
        return;
    }
    // Masked, because the value may be a page long.
    let error = format!("{}: {}", error.instance_path(), error.masked());
    wrong.entry(error).or_insert_with(|| what.to_owned());
}

fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {answer}"))
}

/// Reports that there are no descriptions to check against.
fn skipped() {
    // Written directly, because the test harness captures the output of a passing test's macros.
    let skipped = "skipped: CLERK_SCHEMAS names no folder with Clerk's schemas, so nothing was checked";
    writeln!(std::io::stderr(), "{skipped}").expect("stderr is open");
}

/// A sign-in by password, and everything that a client can do with its session.
async fn one_session(talk: &mut Talk<'_>) {
    talk.get("client", "/v1/client").await;
    talk.ask("client", Method::PUT, "/v1/client", &[]).await;
    talk.post("client", "/v1/client", &[]).await;
    let signed_in = talk.post("sign_in", "/v1/client/sign_ins", &JANE).await;
    let sign_in = format!("/v1/client/sign_ins/{}", text(&signed_in, "/response/id"));
    let session = format!("/v1/client/sessions/{}", text(&signed_in, "/response/created_session_id"));
    talk.get("sign_in", &sign_in).await;
    talk.get("client", "/v1/client").await;
    talk.post("errors", "/v1/client/sign_ins", &JANE).await;
    talk.get("session", &session).await;
    let touched =
        talk.post("touch", &format!("{session}/touch"), &[("active_organization_id", "acme")]).await;
    let organization = text(&touched, "/response/last_active_organization_id").to_owned();
    talk.post("touch", &format!("{session}/touch"), &[("intent", "focus")]).await;
    talk.post("touch", &format!("{session}/touch"), &[("active_organization_id", "")]).await;
    talk.post("errors", &format!("{session}/touch"), &[("active_organization_id", "nobody")]).await;
    talk.post("errors", &format!("{session}/touch"), &[("intent", "nonsense")]).await;
    talk.post("token", &format!("{session}/tokens"), &[]).await;
    talk.post("token", &format!("{session}/tokens"), &[("organization_id", &organization)]).await;
    talk.post("errors", &format!("{session}/tokens"), &[("organization_id", "org_nobody")]).await;
    talk.clerk.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    talk.post("token", &format!("{session}/tokens/partner"), &[]).await;
    talk.post("errors", &format!("{session}/tokens/unknown"), &[]).await;
    talk.post("session", &format!("{session}/end"), &[]).await;
    talk.post("errors", &format!("{session}/end"), &[]).await;
    talk.post("errors", &format!("{session}/tokens"), &[]).await;
    talk.get("client", "/v1/client").await;
    talk.post("session", &format!("{session}/remove"), &[]).await;
    talk.get("errors", "/v1/client/sessions/sess_nobody").await;
    talk.delete("delete_sessions", "/v1/client/sessions").await;
    talk.delete("delete_sessions", "/v1/client").await;
    talk.delete("errors", "/v1/client").await;
}

/// Sign-ins that need another step, each from a new client.
async fn further_steps(talk: &mut Talk<'_>) {
    for (identifier, password, code) in [
        ("mfa@example.com", "second factor please", Some("totp")),
        ("newdevice@example.com", "trust me on a device", Some("email_code")),
        ("expired@example.com", "please choose a new one", None),
    ] {
        talk.token = None;
        let begun = talk.sign_in("sign_in", identifier, password).await;
        let path = format!("/v1/client/sign_ins/{}", text(&begun, "/response/id"));
        talk.get("client", "/v1/client").await;
        match code {
            Some("totp") => {
                let wrong = [("strategy", "totp"), ("code", "000000")];
                talk.post("errors", &format!("{path}/attempt_second_factor"), &wrong).await;
                let right = talk.clerk.totp_code(identifier).expect("an authenticator app");
                let right = [("strategy", "totp"), ("code", right.as_str())];
                talk.post("sign_in", &format!("{path}/attempt_second_factor"), &right).await;
            }
            Some(strategy) => {
                talk.post("sign_in", &format!("{path}/prepare_second_factor"), &[("strategy", strategy)])
                    .await;
                let right = [("strategy", strategy), ("code", "424242")];
                talk.post("sign_in", &format!("{path}/attempt_second_factor"), &right).await;
            }
            None => {
                let password = [("password", "a new one, long enough")];
                talk.post("errors", &format!("{path}/reset_password"), &[("password", "short")]).await;
                talk.post("sign_in", &format!("{path}/reset_password"), &password).await;
            }
        }
    }
}

/// Sign-ins that are refused, each from a new client.
async fn refused_sign_ins(talk: &mut Talk<'_>) {
    for (identifier, password) in [
        ("jane@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        ("not an identifier", "wrong"),
        ("locked@example.com", "locked out for an hour"),
        ("banned@example.com", "banned for good"),
        ("sso@example.com", "any"),
        ("jane@example.com", ""),
        ("", ""),
    ] {
        talk.token = None;
        talk.sign_in("errors", identifier, password).await;
    }
}

/// A sign-in that begins with only the identifier, and continues with a code instead of a password.
async fn identifier_first(talk: &mut Talk<'_>) {
    talk.token = None;
    let begun = talk.post("sign_in", "/v1/client/sign_ins", &[("identifier", "jane")]).await;
    let path = format!("/v1/client/sign_ins/{}", text(&begun, "/response/id"));
    let wrong = [("strategy", "password"), ("password", "wrong")];
    talk.post("errors", &format!("{path}/attempt_first_factor"), &wrong).await;
    talk.post("sign_in", &format!("{path}/prepare_first_factor"), &[("strategy", "email_code")]).await;
    let right = [("strategy", "email_code"), ("code", "424242")];
    talk.post("sign_in", &format!("{path}/attempt_first_factor"), &right).await;
    talk.token = None;
    talk.post("sign_in", "/v1/client/sign_ins", &[]).await;
}

/// Requests for missing objects, with unknown parameters or invalid client tokens.
async fn invalid_requests(talk: &mut Talk<'_>) {
    talk.get("errors", "/v1/client/sign_ins/sia_nobody").await;
    talk.post("errors", "/v1/client/sign_ins", &[("favourite_colour", "blue")]).await;
    talk.token = Some("no token".to_owned());
    talk.get("errors", "/v1/client").await;
    talk.token = Some("a.b.c".to_owned());
    talk.get("errors", "/v1/client").await;
    talk.get("errors", "/v1/no_such_thing").await;
}

/// Sign-ins by a ticket from the Backend API.
async fn tickets(talk: &mut Talk<'_>) {
    for user in ["jane@example.com", "mfa@example.com"] {
        talk.token = None;
        let ticket = ticket(&talk.clerk, user).await;
        let form = [("strategy", "ticket"), ("ticket", ticket.as_str())];
        talk.post("sign_in", "/v1/client/sign_ins", &form).await;
        talk.get("client", "/v1/client").await;
        talk.token = None;
        talk.post("errors", "/v1/client/sign_ins", &form).await;
    }
}

async fn ticket(clerk: &FakeClerk, user: &str) -> String {
    let ask = |request: http::request::Builder, body: Value| {
        let request = request
            .header(AUTHORIZATION, format!("Bearer {}", clerk.secret_key()))
            .header(CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        async move {
            let answer = clerk.send(request.body(body).expect("a request")).await.expect("an answer");
            serde_json::from_slice::<Value>(answer.body()).expect("JSON")
        }
    };
    let address = user.replace('@', "%40");
    let users = format!("{}/v1/users?email_address={address}", clerk.backend_url());
    let found = ask(Request::get(users), Value::Null).await;
    let tokens = Request::post(clerk.backend_url() + "/v1/sign_in_tokens");
    text(&ask(tokens, json!({ "user_id": text(&found, "/0/id") })).await, "/token").to_owned()
}

/// A pending session, and several sessions on one client.
async fn pending_and_several(talk: &mut Talk<'_>) {
    talk.clerk.pending_task("bob@example.com", "choose-organization");
    let pending = talk.sign_in("sign_in", "bob@example.com", "hunter2hunter2").await;
    let session = format!("/v1/client/sessions/{}", text(&pending, "/response/created_session_id"));
    talk.get("session", &session).await;
    talk.post("token", &format!("{session}/tokens"), &[]).await;
    talk.post("touch", &format!("{session}/touch"), &[("active_organization_id", "acme")]).await;
    talk.sign_in("sign_in", "carol@example.com", "personal account only").await;
    talk.get("client", "/v1/client").await;
    talk.sign_in("errors", "carol@example.com", "personal account only").await;
    talk.delete("delete_sessions", "/v1/client/sessions").await;
}

/// Error responses by injected faults.
async fn faults(talk: &mut Talk<'_>) {
    let statuses = [400, 401, 403, 404, 409, 422, 429, 500, 502, 503];
    let limited = |retry_after| Fault::RateLimited { retry_after };
    let faults = statuses.map(Fault::Status).into_iter().chain([
        Fault::StatusWithCode(422, "strategy_for_user_invalid".to_owned()),
        limited(RetryAfter::Seconds(7)),
        limited(RetryAfter::Missing),
    ]);
    for fault in faults {
        talk.clerk.script(Endpoint::SignIns, fault);
        talk.post("errors", "/v1/client/sign_ins", &JANE).await;
    }
}

#[test]
fn the_stand_ins_frontend_api_matches_the_schemas() {
    let Some(schemas) = Schemas::load() else { return skipped() };
    let (mut seen, mut wrong) = (BTreeSet::new(), BTreeMap::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let settings = || FakeClerk::builder().no_rate_limit();
        for settings in [
            settings(),
            settings().no_lockout(),
            settings().legacy_device_trust(true),
            settings().enumeration_protection(true),
            settings().tickets_skip_second_factor(false),
        ] {
            let mut talk = Talk::new(&schemas, settings, &mut seen, &mut wrong);
            talk.get("environment", "/v1/environment").await;
            talk.get("jwks", "/.well-known/jwks.json").await;
            one_session(&mut talk).await;
            further_steps(&mut talk).await;
            refused_sign_ins(&mut talk).await;
            identifier_first(&mut talk).await;
            invalid_requests(&mut talk).await;
            tickets(&mut talk).await;
            faults(&mut talk).await;
        }
        let several = settings().single_session_mode(false);
        pending_and_several(&mut Talk::new(&schemas, several, &mut seen, &mut wrong)).await;
        for settings in [settings().native_api(false), settings().passwords(false)] {
            let mut talk = Talk::new(&schemas, settings, &mut seen, &mut wrong);
            talk.post("errors", "/v1/client/sign_ins", &JANE).await;
            talk.get("environment", "/v1/environment").await;
        }
    });
    let listed: Vec<String> = wrong.iter().map(|(error, what)| format!("{error} ({what})")).collect();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), listed.join("\n"));
    assert_eq!(seen, schemas.0.keys().cloned().collect(), "each kind of answer was seen");
}
