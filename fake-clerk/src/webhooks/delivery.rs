//! Deliveries, as a test sees them.

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// An attempt is under way, due, or scheduled.
    Pending,
    /// Kept back by [`hold_webhooks`](crate::FakeClerk::hold_webhooks).
    Held,
    /// The endpoint has answered 2xx.
    Delivered,
    /// All attempts have failed, or the endpoint has told Svix to stop, or it is disabled.
    Failed,
    /// Dropped by the test. It is sent only by [`replay_webhook`](crate::FakeClerk::replay_webhook).
    Dropped,
}

/// An attempt to deliver an event to an endpoint.
#[derive(Clone, Debug)]
pub struct WebhookAttempt {
    pub(crate) at: Instant,
    pub(crate) status: Option<StatusCode>,
}

impl WebhookAttempt {
    /// Returns the time at which the attempt began.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Returns the status of the endpoint's answer; `None` if there was none within 15 s.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }
}

/// A snapshot of an event on its way to one endpoint.
///
/// Comes from [`FakeClerk::deliveries`](crate::FakeClerk::deliveries) and doesn't change afterwards.
#[derive(Clone, Debug)]
pub struct WebhookDelivery {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) url: String,
    pub(crate) body: Bytes,
    pub(crate) status: DeliveryStatus,
    pub(crate) attempts: Vec<WebhookAttempt>,
}

impl WebhookDelivery {
    /// Returns the event's id, `msg_…`, which is the same for all endpoints and attempts.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the event's type, such as `user.updated`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event
    }

    /// Returns the endpoint's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the body, as it was signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the state of the delivery.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// Returns the attempts that have ended, oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[WebhookAttempt] {
        &self.attempts
    }
}
