//! Checks the stand-in's webhooks against Clerk's OpenAPI description.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tower_clerk::testing::{FakeClerk, FakeOrganization, FakeUser, WebhookEndpoint, WebhookSecret};

use super::openapi::{OpenApi, WEBHOOKS};
use super::{note, skipped};

/// The events that the stand-in sends.
const EVENTS: [&str; 19] = [
    "organization.created",
    "organization.deleted",
    "organization.updated",
    "organizationMembership.created",
    "organizationMembership.deleted",
    "organizationMembership.updated",
    "permission.created",
    "permission.deleted",
    "role.created",
    "role.deleted",
    "role.updated",
    "session.created",
    "session.ended",
    "session.pending",
    "session.removed",
    "session.revoked",
    "user.created",
    "user.deleted",
    "user.updated",
];

/// Changes everything that an event tells.
fn change_everything(clerk: &FakeClerk) {
    let odd =
        FakeUser::new("odd").unverified_email("odd@example.com").phone("+4930123456").name("Odd", "One");
    clerk.add_user(odd);
    for user in ["jane", "odd", "mfa@example.com", "sso@example.com", "locked@example.com"] {
        let session = clerk.open_session(user);
        clerk.lock(user);
        clerk.require_second_factor(user, true);
        clerk.require_second_factor(user, false);
        clerk.set_password(user, "another password");
        clerk.add_member(user, "acme", "org:member");
        clerk.add_member(user, "acme", "org:admin");
        clerk.add_task(&session, "setup-mfa");
        clerk.ban(user);
    }
    clerk.set_role("org:member", ["org:invoices:read", "org:invoices:send"]);
    clerk.set_role("org:guest", ["org:invoices:read"]);
    clerk.delete_role("org:guest");
    clerk.delete_permission("org:invoices:send");
    clerk.remove_member("odd", "acme");
    clerk.add_organization(FakeOrganization::new("initech"));
    clerk.set_slug("initech", "initrode");
    clerk.delete_organization("initrode");
    clerk.delete_user("odd");
}

/// Ends a session, and removes another, by requests.
async fn sign_out_twice(clerk: &FakeClerk) {
    use bytes::Bytes;
    use tower_clerk::transport::Transport;

    for step in ["end", "remove"] {
        let form = "strategy=password&identifier=bob&password=hunter2hunter2";
        let post = |path: String, token: &str, form: &'static str| {
            let request = http::Request::post(format!("{}{path}?_is_native=1", clerk.fapi_url()))
                .header("authorization", token)
                .header("content-type", "application/x-www-form-urlencoded");
            clerk.send(request.body(Bytes::from_static(form.as_bytes())).expect("a request"))
        };
        let signed_in = post("/v1/client/sign_ins".to_owned(), "", form).await.expect("an answer");
        let token = signed_in.headers()["authorization"].to_str().expect("a client token").to_owned();
        let body: Value = serde_json::from_slice(signed_in.body()).expect("JSON");
        let session = super::text(&body, "/response/created_session_id");
        let answer =
            post(format!("/v1/client/sessions/{session}/{step}"), &token, "").await.expect("an answer");
        assert_eq!(answer.status(), 200, "{step}");
    }
}

#[test]
fn the_stand_ins_webhooks_match_the_openapi_description() {
    let Some(folder) = env::var_os("CLERK_SCHEMAS") else { return skipped() };
    let mut description = OpenApi::load(Path::new(&folder), WEBHOOKS);
    let (mut seen, mut wrong) = (BTreeSet::new(), BTreeMap::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        for settings in [FakeClerk::builder(), FakeClerk::builder().webhook_seconds(true)] {
            let endpoint =
                WebhookEndpoint::in_process(WebhookSecret::random(), |_| async { StatusCode::NO_CONTENT });
            let clerk = settings.lockout(3, Duration::from_secs(60)).webhook(endpoint).build();
            sign_out_twice(&clerk).await;
            change_everything(&clerk);
            clerk.settle_webhooks().await;
            for delivery in clerk.deliveries() {
                let mut event: Value = serde_json::from_slice(delivery.body()).expect("JSON");
                for error in description.event(delivery.event_type()).iter_errors(&event) {
                    note(&error, delivery.event_type(), &mut wrong);
                }
                seen.insert(delivery.event_type().to_owned());
                event["data"]["object"] = Value::Null;
                assert!(!description.event(delivery.event_type()).is_valid(&event), "the schema is void");
            }
        }
    });
    let listed: Vec<String> = wrong.iter().map(|(error, what)| format!("{error} ({what})")).collect();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), listed.join("\n"));
    assert_eq!(seen, EVENTS.map(str::to_owned).into());
}
