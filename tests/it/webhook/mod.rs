//! Webhooks: deliveries as Clerk's sender makes them, to a service on an engine that a stand-in answers (rules W1-W5).

mod answers;
mod app;
mod arbitrary;
mod changes;
mod deliveries;
mod effects;
mod guesses;
mod keys;
mod limits;
mod orders;
mod scenarios;
mod sinks;
mod storm;
mod under_way;
mod vectors;
mod without_engine;

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_clerk::stats::WebhookOutcome;
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};

use crate::common::World;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn service(world: &World) -> ClerkWebhookService {
    ClerkWebhookService::new(world.clerk.clone(), WebhookSecrets::parse(SECRET).unwrap())
}

/// A signature of version 1, by an implementation of its own.
fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let bytes = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let content = [id.as_bytes(), timestamp.as_bytes(), body].join(&b'.');
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key, &content)))
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The header fields of a delivery that is signed now.
fn fields(world: &World, id: &str, body: &[u8]) -> [(&'static str, String); 3] {
    let timestamp = unix(world.clock.wall()).to_string();
    let signature = signature(SECRET, id, &timestamp, body);
    [("svix-id", id.to_owned()), ("svix-timestamp", timestamp), ("svix-signature", signature)]
}

fn request(fields: &[(&str, String)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let builder = fields
        .iter()
        .fold(Request::post("/webhooks/clerk"), |builder, (name, value)| builder.header(*name, value));
    builder.body(Full::new(body.into())).unwrap()
}

pub(crate) fn signed(world: &World, id: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let body = body.into();
    request(&fields(world, id, &body), body)
}

/// The body of an event that occurs now.
pub(crate) fn event(world: &World, event_type: &str, data: &Value) -> String {
    json!({
        "object": "event",
        "type": event_type,
        "timestamp": millis(world.clock.wall()),
        "instance_id": "ins_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
        "event_attributes": { "http_request": { "client_ip": "192.0.2.1", "user_agent": "curl" } },
        "data": data,
    })
    .to_string()
}

pub(crate) async fn send<S, B>(service: &S, request: Request<B>) -> Response<String>
where
    S: tower::Service<Request<B>, Response = Response<String>, Error = Infallible> + Clone,
{
    crate::common::in_time(service.clone().oneshot(request)).await.unwrap()
}

/// Delivers an event, with an id of its own.
async fn deliver(world: &World, event_type: &str, data: &Value) {
    let body = event(world, event_type, data);
    let id = format!(
        "msg_{:x}",
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes()).as_ref()[0]
    );
    let id = format!("{id}{}", world.clerk.stats().webhooks.iter().map(|it| it.count).sum::<u64>());
    let response = send(&service(world), signed(world, &id, body)).await;
    assert_eq!(response.status(), 204, "{event_type}: {}", response.body());
}

/// A user in Clerk's form, with `changed` fields.
pub(crate) fn user(id: &str, name: &str, changed: &Value) -> Value {
    let verified = json!({ "object": "verification_admin", "status": "verified", "strategy": "admin" });
    let mut user = json!({
        "object": "user",
        "id": id,
        "username": name,
        "email_addresses": [
            { "object": "email_address", "email_address": format!("{name}@example.com"), "verification": verified },
        ],
        "phone_numbers": [],
        "banned": false,
        "locked": false,
        "deprovisioned": false,
        "password_enabled": true,
        "password_last_updated_at": null,
        "mfa_enabled_at": null,
        "unsafe_metadata": {},
    });
    let fields = changed.as_object().unwrap().clone();
    user.as_object_mut().unwrap().extend(fields);
    user
}

/// The number of deliveries with this outcome.
fn counted(world: &World, outcome: WebhookOutcome) -> u64 {
    let stats = world.clerk.stats();
    stats.webhooks.iter().filter(|it| it.outcome == outcome).map(|it| it.count).sum()
}

const SECOND: Duration = Duration::from_secs(1);
