//! One attempt to deliver an event.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};

use crate::webhooks::Webhooks;
use crate::webhooks::delivery::{DeliveryStatus, WebhookAttempt};
use crate::webhooks::endpoint::Target;
use crate::webhooks::mailbox::Order;

/// The time that an endpoint has for its answer: <https://docs.svix.com/retries>.
const TIME: Duration = Duration::from_secs(15);

/// Whether another attempt follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    TryAgain,
}

/// An endpoint's answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The header by which an endpoint controls deliveries: <https://docs.svix.com/receiving/delivery-control>.
    pub(crate) control: Option<HeaderValue>,
}

impl Webhooks {
    /// Makes an attempt, and records it. Returns the status of the answer, too.
    pub(crate) async fn attempt(&self, number: u64) -> (Verdict, Option<StatusCode>) {
        let Some(order) = self.mailbox(|mailbox| mailbox.order(number)) else { return (Verdict::Done, None) };
        #[cfg(feature = "server")]
        let _socket = match &order.endpoint.target {
            Target::Socket(_) => self.sockets.acquire().await.ok(),
            Target::InProcess(_) => None,
        };
        let at = self.clock.now();
        let answer = tokio::time::timeout(TIME, send(order, self.timestamp())).await.ok().flatten();
        let status = answer.as_ref().map(|answer| answer.status);
        let succeeded = status.is_some_and(|status| status.is_success());
        let control = answer.and_then(|answer| answer.control);
        let now = self.clock.now();
        let verdict = self.mailbox(|mailbox| {
            let is_enabled = mailbox.attempted(number, WebhookAttempt { at, status }, now);
            let aborts = match control.as_ref().map(HeaderValue::as_bytes) {
                Some(b"disable") => {
                    mailbox.disable_endpoint_of(number);
                    true
                }
                Some(b"abort-message") => true,
                _ => false,
            };
            if succeeded {
                return Verdict::Done;
            }
            if is_enabled && !aborts {
                return Verdict::TryAgain;
            }
            mailbox.set_status(number, DeliveryStatus::Failed);
            Verdict::Done
        });
        (verdict, status)
    }

    /// Returns the time that a delivery is signed with, in seconds since 1970.
    fn timestamp(&self) -> i64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Sends a delivery, and returns the answer; `None` if there is none.
async fn send(order: Order, timestamp: i64) -> Option<Answer> {
    let Order { id, body, endpoint } = order;
    let signatures: Vec<String> =
        endpoint.secrets.iter().map(|secret| secret.sign(&id, timestamp, &body)).collect();
    let [id_name, timestamp_name, signature_name] = endpoint.headers.names();
    let request = Request::post(endpoint.url.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "Svix-Webhooks/1.0 (fake-clerk)")
        .header(id_name, id)
        .header(timestamp_name, timestamp)
        .header(signature_name, signatures.join(" "))
        .body(body)
        .ok()?;
    match &endpoint.target {
        Target::InProcess(answer) => Some(Answer { status: answer(request).await, control: None }),
        #[cfg(feature = "server")]
        Target::Socket(address) => address.send(request).await,
    }
}
