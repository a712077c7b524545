//! Endpoints that receive webhooks.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};

#[cfg(feature = "server")]
use crate::webhooks::secret::InvalidWebhook;
use crate::webhooks::secret::WebhookSecret;
#[cfg(feature = "server")]
use crate::webhooks::socket::Address;

/// The names of the three headers that sign a delivery.
///
/// Clerk's deliveries have Svix's names. Both families mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookHeaders {
    /// `svix-id`, `svix-timestamp`, `svix-signature`
    Svix,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`
    Standard,
}

impl WebhookHeaders {
    /// Returns the names of the headers with the id, the timestamp and the signatures.
    #[must_use]
    pub fn names(self) -> [&'static str; 3] {
        match self {
            Self::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
            Self::Standard => ["webhook-id", "webhook-timestamp", "webhook-signature"],
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = StatusCode> + Send>>;

/// The way to an endpoint.
#[derive(Clone)]
pub(crate) enum Target {
    InProcess(Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>),
    #[cfg(feature = "server")]
    Socket(Address),
}

/// A webhook endpoint to register with [`FakeClerk::add_webhook`](crate::FakeClerk::add_webhook) or
/// [`FakeClerkBuilder::webhook`](crate::FakeClerkBuilder::webhook).
///
/// It receives every event unless [`events`](Self::events) selects some.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::sync::{Arc, Mutex};
/// use fake_clerk::{FakeClerk, WebhookEndpoint, WebhookSecret};
/// use http::StatusCode;
///
/// let received = Arc::new(Mutex::new(Vec::new()));
/// let endpoint = WebhookEndpoint::in_process(WebhookSecret::random(), {
///     let received = Arc::clone(&received);
///     move |request| {
///         received.lock().unwrap().push(request);
///         async { StatusCode::NO_CONTENT }
///     }
/// });
/// let clerk = FakeClerk::builder().webhook(endpoint).build();
/// clerk.ban("jane@example.com");
/// clerk.settle_webhooks().await;
/// assert_eq!(received.lock().unwrap().len(), 1);
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct WebhookEndpoint {
    pub(crate) target: Target,
    pub(crate) url: String,
    pub(crate) secrets: Vec<WebhookSecret>,
    pub(crate) headers: WebhookHeaders,
    /// The types of the events to send; `None` for all.
    pub(crate) events: Option<Vec<String>>,
}

impl WebhookEndpoint {
    /// Creates an endpoint that a function answers for, without a socket. Tests that drive the clock need one.
    ///
    /// The function gets the request as a server would, and returns the status of its answer. 2xx means success.
    pub fn in_process<F, A>(secret: WebhookSecret, answer: F) -> Self
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = StatusCode> + Send + 'static,
    {
        let target = Target::InProcess(Arc::new(move |request| Box::pin(answer(request))));
        Self::new(target, "https://app.example/webhooks".to_owned(), secret)
    }

    /// Creates an endpoint at a URL, `http://HOST:PORT/PATH`.
    ///
    /// TLS isn't supported, as the stand-in is for one machine.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL isn't of that form.
    #[cfg(feature = "server")]
    #[cfg_attr(docsrs, doc(cfg(feature = "server")))]
    pub fn at(url: &str, secret: WebhookSecret) -> Result<Self, InvalidWebhook> {
        let address = Address::parse(url)?;
        Ok(Self::new(Target::Socket(address), url.to_owned(), secret))
    }

    fn new(target: Target, url: String, secret: WebhookSecret) -> Self {
        Self { target, url, secrets: vec![secret], headers: WebhookHeaders::Svix, events: None }
    }

    /// Sets the names of the headers. The default is Svix's.
    pub fn headers(mut self, headers: WebhookHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Signs each delivery with another secret, too.
    ///
    /// While Clerk rotates a secret, each delivery has a signature by the new and one by the old secret.
    pub fn also_signed_by(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets the types of the events that the endpoint receives, such as `user.updated`. The default is all.
    pub fn events<I>(mut self, types: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.events = Some(types.into_iter().map(Into::into).collect());
        self
    }

    pub(crate) fn wants(&self, event: &str) -> bool {
        self.events.as_ref().is_none_or(|types| types.iter().any(|wanted| wanted == event))
    }
}

impl fmt::Debug for WebhookEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEndpoint")
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
