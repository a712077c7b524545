//! A host on a socket with an instance of its own, and a partner that asks it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_clerk::testing::{self, FakeClerk};
use tower_clerk::{Clerk, ClerkBuilder};

use crate::auth::Authentication;
use crate::host::Host;
use crate::sample::Sample;

pub(crate) const JANE: (&str, &str) = ("jane@example.com", "correct horse battery staple");

pub(crate) struct World {
    pub(crate) fake: FakeClerk,
    pub(crate) clerk: Clerk,
    /// The address of the host, without a slash at its end.
    pub(crate) url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The entries of a list that was answered 200.
    pub(crate) fn entries(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["data"].as_array().unwrap().clone()
    }

    /// The status, and the code of PACT's error answers.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        (self.status, json["code"].as_str().unwrap().to_owned())
    }

    /// The status, and the error of OAuth.
    pub(crate) fn oauth(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }

    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The target of the link to the next page.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        let (target, relation) = link.split_once("; ").unwrap();
        assert_eq!(relation, "rel=\"next\"");
        Some(target.strip_prefix('<').unwrap().strip_suffix('>').unwrap().to_owned())
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.headers, self.body)
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Authentication::default(), |_, builder| builder).await
    }

    /// A host with these settings, on an engine that `engine` may change.
    pub(crate) async fn with(
        authentication: Authentication,
        engine: impl FnOnce(&FakeClerk, ClerkBuilder) -> ClerkBuilder,
    ) -> Self {
        let fake = FakeClerk::new();
        let clerk = engine(&fake, testing::unlimited_builder(&fake)).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let host = Host { source: Sample::new().unwrap(), public_url: url.clone() };
        let app = host.router(&clerk, &authentication).unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { fake, clerk, url, client }
    }

    /// Sends a request. `target` is a path, or an address that the host has named.
    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let target =
            if target.starts_with('/') { format!("{}{target}", self.url) } else { target.to_owned() };
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, target: &str, token: &str) -> Answer {
        self.ask(Method::GET, target, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    pub(crate) async fn post_event(&self, token: &str, event: &Value) -> Answer {
        let fields = [
            ("authorization", &*format!("Bearer {token}")),
            ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ];
        self.ask(Method::POST, "/2/events", &fields, event.to_string()).await
    }

    /// Asks for a token as the network's test services do: by Basic without further encoding.
    pub(crate) async fn authenticate(&self, target: &str, (id, secret): (&str, &str)) -> Answer {
        self.authenticate_with(target, &testing::basic(id, secret)).await
    }

    pub(crate) async fn authenticate_with(&self, target: &str, authorization: &HeaderValue) -> Answer {
        let fields = [
            ("accept", "application/json"),
            ("authorization", authorization.to_str().unwrap()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.ask(Method::POST, target, &fields, "grant_type=client_credentials").await
    }

    pub(crate) async fn token(&self) -> String {
        let answer = self.authenticate("/auth/token", JANE).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Lets time pass for everyone. In between, sockets work as always.
    pub(crate) async fn advance(&self, time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }
}

/// An event of this type, with this data.
pub(crate) fn event(kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": "run-1/case",
        "source": "https://partner.example.com",
        "time": "2025-05-19T10:30:00.000Z",
        "type": format!("org.wbcsd.pathfinder.{kind}.v1"),
        "data": data,
    })
}
