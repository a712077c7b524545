//! The sign-in of a partner's employees: the code flow of OpenID Connect, with a nonce of ours.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tower_clerk::federation::Assertion;
use tower_clerk::{Access, Clerk};

use crate::about;

pub(crate) const ISSUER: &str = "https://login.partner.example";
pub(crate) const CLIENT_ID: &str = "acme-portal";

/// How long a person may take at the provider.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Most sign-ins under way.
const MOST: usize = 10_000;

#[derive(Clone)]
pub(crate) struct Partner {
    clerk: Clerk,
    address: SocketAddr,
    http: reqwest::Client,
    /// The sign-ins under way, by the value of the browser's cookie.
    started: Arc<Mutex<HashMap<String, Started>>>,
}

struct Started {
    state: String,
    nonce: String,
    at: Instant,
}

impl Partner {
    pub(crate) fn new(clerk: Clerk, address: SocketAddr) -> Self {
        Self { clerk, address, http: reqwest::Client::new(), started: Arc::default() }
    }

    pub(crate) fn routes(self) -> Router {
        Router::new().route("/login", get(login)).route("/callback", get(callback)).with_state(self)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Notes a sign-in, unless there are too many, and returns the value of its cookie.
    fn note(&self, state: &str, nonce: &str) -> Option<String> {
        let mut started = self.started.lock().expect("no holder of the lock panics");
        started.retain(|_, started| started.at.elapsed() < PATIENCE);
        if started.len() >= MOST {
            return None;
        }
        let cookie = random();
        let (state, nonce) = (state.to_owned(), nonce.to_owned());
        started.insert(cookie.clone(), Started { state, nonce, at: Instant::now() });
        Some(cookie)
    }

    /// Takes the sign-in of this browser with this `state`, which serves once. Its nonce is what the assertion must have.
    fn nonce_of(&self, headers: &HeaderMap, state: &str) -> Option<String> {
        let cookies = headers.get(COOKIE)?.to_str().ok()?.split("; ");
        let cookie = cookies.filter_map(|cookie| cookie.strip_prefix("login=")).next()?;
        let started = self.started.lock().expect("no holder of the lock panics").remove(cookie)?;
        (started.state == state && started.at.elapsed() < PATIENCE).then_some(started.nonce)
    }

    /// Redeems a code at the provider for an ID token.
    async fn assertion(&self, code: &str) -> Option<String> {
        let form =
            format!("grant_type=authorization_code&code={code}&redirect_uri={}", self.url("/callback"));
        let request = self.http.post(self.url("/stand-in/partner/token")).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.ok()?.bytes().await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        Some(answer["id_token"].as_str()?.to_owned())
    }
}

async fn login(State(partner): State<Partner>) -> Response {
    let (state, nonce) = (random(), random());
    let Some(cookie) = partner.note(&state, &nonce) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let to = format!(
        "{}?response_type=code&scope=openid&client_id={CLIENT_ID}&redirect_uri={}&state={state}&nonce={nonce}",
        partner.url("/stand-in/partner/authorize"),
        partner.url("/callback"),
    );
    // With https, `Secure` as well, and the prefix `__Host-`.
    let cookie = format!("login={cookie}; HttpOnly; SameSite=Lax; Path=/; Max-Age={}", PATIENCE.as_secs());
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&to)).into_response()
}

async fn callback(
    State(partner): State<Partner>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    let is_plain = of("code").bytes().all(|byte| byte.is_ascii_alphanumeric());
    let Some(nonce) = partner.nonce_of(&headers, of("state")).filter(|_| is_plain) else {
        return (StatusCode::BAD_REQUEST, "this sign-in was not begun here").into_response();
    };
    let Some(id_token) = partner.assertion(of("code")).await else {
        return (StatusCode::BAD_GATEWAY, "the partner's provider gave no assertion").into_response();
    };
    match partner.clerk.exchange(&Assertion::new(id_token).nonce(nonce), &Access::new()).await {
        // An application would set a cookie of its own now, or hand the session's token to the page.
        Ok(session) => Json(about(&session)).into_response(),
        Err(rejection) => (rejection.status(), rejection.kind().title()).into_response(),
    }
}

/// A value that nobody can guess.
pub(crate) fn random() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system's random source works");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
