//! A receiver of webhooks, in process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fake_clerk::{FakeClerk, FakeClerkBuilder, WebhookEndpoint, WebhookSecret};
use http::{Request, StatusCode};
use serde_json::Value;

/// Keeps what it receives. It answers 204, or what a test has scripted.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) secret: WebhookSecret,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { secret: WebhookSecret::random(), requests: Arc::default(), answers: Arc::default() }
    }

    /// An instance that sends its events here.
    pub(crate) fn of(settings: FakeClerkBuilder) -> (FakeClerk, Self) {
        let inbox = Self::new();
        (settings.webhook(inbox.endpoint()).build(), inbox)
    }

    pub(crate) fn endpoint(&self) -> WebhookEndpoint {
        let inbox = self.clone();
        WebhookEndpoint::in_process(self.secret.clone(), move |request| {
            inbox.requests.lock().unwrap().push(request);
            let status = inbox.answers.lock().unwrap().pop_front().unwrap_or(204);
            async move { StatusCode::from_u16(status).unwrap() }
        })
    }

    /// Answers the next requests with these statuses.
    pub(crate) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses);
    }

    /// Returns the requests so far, and forgets them.
    pub(crate) fn take(&self) -> Vec<Request<Bytes>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Waits for the deliveries that are due, and returns what has come since the last call: types and data, ordered by
    /// type.
    pub(crate) async fn events(&self, clerk: &FakeClerk) -> Vec<(String, Value)> {
        clerk.settle_webhooks().await;
        let mut events: Vec<(String, Value)> = self.take().iter().map(event).collect();
        events.sort_by(|(one, _), (other, _)| one.cmp(other));
        events
    }

    /// Like [`events`](Self::events), without the data.
    pub(crate) async fn types(&self, clerk: &FakeClerk) -> Vec<String> {
        self.events(clerk).await.into_iter().map(|(kind, _)| kind).collect()
    }
}

fn event(request: &Request<Bytes>) -> (String, Value) {
    let mut envelope: Value = serde_json::from_slice(request.body()).unwrap();
    (envelope["type"].as_str().unwrap().to_owned(), envelope["data"].take())
}

pub(crate) fn header<'r>(request: &'r Request<Bytes>, name: &str) -> &'r str {
    request.headers()[name].to_str().unwrap()
}
