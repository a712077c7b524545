//! API keys in the password's place (rules T1-T6).

mod answers;
mod behind;
mod cache;
mod faults;
mod flood;
mod organizations;
mod recognition;
mod revocations;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_clerk::layer::RejectionResponse;
use tower_clerk::testing::{Endpoint, FakeApiKey};
use tower_clerk::transport::Transport as _;
use tower_clerk::{ApiKeys, ClerkApiKey, ClerkBasicAuthLayer};

use crate::common::{World, ask, basic, code, rejection};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const TOKEN: &str = "__token__";

/// A layer that accepts keys.
fn accepting(world: &World) -> ClerkBasicAuthLayer {
    world.layer().accept_api_keys(ApiKeys::new()).unwrap()
}

fn secret_of(world: &World, subject: &str) -> String {
    world.fake.demo_api_key(subject).1
}

/// Adds a key, and returns its id and its secret.
fn add(world: &World, key: FakeApiKey) -> (String, String) {
    let id = world.fake.add_api_key(key);
    let secret = world.fake.api_key_secret(&id);
    (id, secret)
}

/// Creates a key by the Backend API, which knows nothing of its subject, and returns its secret.
async fn create(world: &World, subject: &str) -> String {
    let body = json!({ "name": "nightly", "subject": subject }).to_string();
    let request = Request::post(world.fake.backend_url() + "/v1/api_keys")
        .header("authorization", format!("Bearer {}", world.fake.secret_key()))
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap();
    let answer = world.fake.send(request).await.unwrap();
    let made: Value = serde_json::from_slice(answer.body()).unwrap();
    made["secret"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn with_key<R>(layer: &ClerkBasicAuthLayer<R>, secret: &str) -> Response<String>
where
    R: RejectionResponse<String>,
{
    ask(layer, basic((TOKEN, secret))).await
}

/// The status and the code of a request with this key.
async fn status<R>(layer: &ClerkBasicAuthLayer<R>, secret: &str) -> (u16, &'static str)
where
    R: RejectionResponse<String>,
{
    let response = with_key(layer, secret).await;
    (response.status().as_u16(), code(&response))
}

/// The key that the inner service saw.
#[track_caller]
fn key(response: &Response<String>) -> &ClerkApiKey {
    let key = response.extensions().get::<ClerkApiKey>();
    key.unwrap_or_else(|| panic!("{} instead of a key: {:?}", response.status(), rejection(response)))
}

/// The number of calls to the Backend API so far.
fn calls(world: &World) -> usize {
    world.fake.count(Endpoint::Backend)
}

fn verifications(world: &World) -> usize {
    world.fake.count(Endpoint::VerifyApiKey)
}

const ACCEPTED: (u16, &str) = (200, "");
const REFUSED: (u16, &str) = (401, "credentials_rejected");
const FORBIDDEN: (u16, &str) = (403, "organization_forbidden");
const UNAVAILABLE: (u16, &str) = (503, "upstream_unavailable");
const NO_TURN: (u16, &str) = (503, "upstream_rate_limited");
