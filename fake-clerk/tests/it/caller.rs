//! A native client, which stores only its client token, and a server with the secret key.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use fake_clerk::ConnectionFault;
use fake_clerk::FakeClerk;
use http::{HeaderMap, Request};
use serde_json::Value;

pub(crate) const JANE: &str = "correct horse battery staple";

pub(crate) struct Caller {
    pub(crate) clerk: FakeClerk,
    pub(crate) token: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Got {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:?}", self.body);
        self.body
    }

    /// Returns the status and the code of the first error.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["errors"][0]["code"].as_str().unwrap_or_default())
    }

    pub(crate) fn codes(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["code"].as_str().unwrap()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Caller {
    pub(crate) fn new(clerk: &FakeClerk) -> Self {
        Self { clerk: clerk.clone(), token: None }
    }

    pub(crate) fn request(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Request<Bytes> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}{separator}_is_native=1", self.clerk.fapi_url()));
        if let Some(token) = &self.token {
            request = request.header("authorization", token);
        }
        if form.is_empty() {
            return request.body(Bytes::new()).unwrap();
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        request.header("content-type", "application/x-www-form-urlencoded").body(body.into()).unwrap()
    }

    pub(crate) async fn try_send(&mut self, request: Request<Bytes>) -> Result<Got, ConnectionFault> {
        let response = self.clerk.handle(request).await?;
        let (parts, body) = response.into_parts();
        if let Some(token) = parts.headers.get("authorization") {
            self.token = Some(token.to_str().unwrap().to_owned()).filter(|token| !token.is_empty());
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Got { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Got {
        self.try_send(request).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Got {
        let request = self.request("GET", path, &[]);
        self.send(request).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Got {
        let request = self.request("POST", path, form);
        self.send(request).await
    }

    pub(crate) async fn sign_in(&mut self, identifier: &str, password: &str) -> Got {
        let form = [("strategy", "password"), ("identifier", identifier), ("password", password)];
        self.post("/v1/client/sign_ins", &form).await
    }

    /// Signs in, which must succeed, and returns the session's path.
    pub(crate) async fn session(&mut self, identifier: &str, password: &str) -> String {
        let body = self.sign_in(identifier, password).await.ok();
        assert_eq!(body["response"]["status"], "complete");
        format!("/v1/client/sessions/{}", body["response"]["created_session_id"].as_str().unwrap())
    }
}

/// Decodes part 0 (the header) or part 1 (the payload) of a token.
pub(crate) fn part(jwt: &Value, number: usize) -> Value {
    let part = jwt.as_str().unwrap().split('.').nth(number).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A server with the instance's secret key.
pub(crate) struct Server {
    pub(crate) clerk: FakeClerk,
    /// The value of `Authorization`.
    pub(crate) key: String,
}

impl Server {
    pub(crate) fn new(clerk: &FakeClerk) -> Self {
        Self { clerk: clerk.clone(), key: format!("Bearer {}", clerk.secret_key()) }
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Request<Bytes> {
        let uri = format!("{}{path}", self.clerk.backend_url());
        let mut request = Request::builder().method(method).uri(uri).header("authorization", &self.key);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        request.body(Bytes::from(body.to_owned())).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Got {
        let (parts, body) = self.clerk.handle(request).await.unwrap().into_parts();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(self.request("GET", path, "")).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Got {
        self.send(self.request("POST", path, &body.to_string())).await
    }

    /// Returns the id of the user with a username or an address.
    pub(crate) async fn user(&self, filter: &str) -> String {
        let users = self.get(&format!("/v1/users?{filter}")).await.ok();
        assert_eq!(users.as_array().unwrap().len(), 1, "{filter}");
        users[0]["id"].as_str().unwrap().to_owned()
    }

    /// Creates a ticket for a user.
    pub(crate) async fn ticket(&self, body: Value) -> String {
        self.post("/v1/sign_in_tokens", body).await.ok()["token"].as_str().unwrap().to_owned()
    }
}
