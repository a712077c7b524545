//! The queue and the log of deliveries.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::ids;
use crate::webhooks::delivery::{DeliveryStatus, WebhookAttempt, WebhookDelivery};
use crate::webhooks::endpoint::WebhookEndpoint;
use crate::webhooks::fault::WebhookFault;

/// Maximum number of deliveries stored. Older ones are neither listed nor sent again.
const MAX_DELIVERIES: usize = 20_000;

/// Svix disables an endpoint at which all attempts have failed for this long: <https://docs.svix.com/retries>.
const GIVES_UP_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);

pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) about: WebhookEndpoint,
    is_enabled: bool,
    /// The time of the first of the failures since the last success.
    failing_since: Option<Instant>,
}

pub(crate) struct Delivery {
    endpoint: String,
    seen: WebhookDelivery,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    endpoints: Vec<Registered>,
    deliveries: VecDeque<Delivery>,
    /// The number of the first stored delivery.
    first: u64,
    pub(crate) holds: bool,
    /// Scripted faults of the next events.
    pub(crate) faults: VecDeque<WebhookFault>,
    due: Vec<Due>,
}

/// A delivery whose attempt is due.
pub(crate) struct Due {
    pub(crate) number: u64,
    pub(crate) delay: Duration,
}

/// An attempt to make now.
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) body: Bytes,
    pub(crate) endpoint: WebhookEndpoint,
}

impl Mailbox {
    pub(crate) fn add_endpoint(&mut self, about: WebhookEndpoint) -> String {
        let id = ids::random("ep");
        self.endpoints.push(Registered { id: id.clone(), about, is_enabled: true, failing_since: None });
        id
    }

    /// Removes an endpoint. Returns whether there was one.
    pub(crate) fn remove_endpoint(&mut self, id: &str) -> bool {
        let before = self.endpoints.len();
        self.endpoints.retain(|endpoint| endpoint.id != id);
        self.endpoints.len() < before
    }

    pub(crate) fn endpoint(&mut self, id: &str) -> Option<&mut Registered> {
        self.endpoints.iter_mut().find(|endpoint| endpoint.id == id)
    }

    pub(crate) fn has_endpoints(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Queues an event for the endpoints that want it, and returns its id.
    pub(crate) fn post(&mut self, event: &str, body: &Bytes) -> String {
        let id = ids::random("msg");
        let fault = self.faults.pop_front();
        let status = match fault {
            Some(WebhookFault::Drop) => DeliveryStatus::Dropped,
            _ if self.holds => DeliveryStatus::Held,
            _ => DeliveryStatus::Pending,
        };
        let wanting = self.endpoints.iter().filter(|it| it.is_enabled && it.about.wants(event));
        for endpoint in wanting {
            if self.deliveries.len() == MAX_DELIVERIES {
                self.deliveries.pop_front();
                self.first += 1;
            }
            let number = self.first + self.deliveries.len() as u64;
            let seen = WebhookDelivery {
                id: id.clone(),
                event: event.to_owned(),
                url: endpoint.about.url.clone(),
                body: body.clone(),
                status,
                attempts: Vec::new(),
            };
            self.deliveries.push_back(Delivery { endpoint: endpoint.id.clone(), seen });
            if status != DeliveryStatus::Pending {
                continue;
            }
            let delay = match fault {
                Some(WebhookFault::Delay(delay)) => delay,
                _ => Duration::ZERO,
            };
            let times = if fault == Some(WebhookFault::Duplicate) { 2 } else { 1 };
            self.due.extend((0..times).map(|_| Due { number, delay }));
        }
        id
    }

    pub(crate) fn take_due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.due)
    }

    pub(crate) fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.deliveries.iter().map(|delivery| delivery.seen.clone()).collect()
    }

    /// Returns the numbers of the deliveries of an event.
    pub(crate) fn numbers_of(&self, id: &str) -> Vec<u64> {
        self.numbers(|delivery| delivery.id == id)
    }

    pub(crate) fn numbers(&self, wanted: impl Fn(&WebhookDelivery) -> bool) -> Vec<u64> {
        (self.first..)
            .zip(&self.deliveries)
            .filter(|(_, it)| wanted(&it.seen))
            .map(|(number, _)| number)
            .collect()
    }

    /// Sends a delivery by the schedule, from its first attempt on.
    pub(crate) fn send(&mut self, number: u64) {
        self.set_status(number, DeliveryStatus::Pending);
        self.due.push(Due { number, delay: Duration::ZERO });
    }

    pub(crate) fn set_status(&mut self, number: u64, status: DeliveryStatus) {
        if let Some(delivery) = self.delivery(number) {
            delivery.seen.status = status;
        }
    }

    fn delivery(&mut self, number: u64) -> Option<&mut Delivery> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.deliveries.get_mut(at)
    }

    /// Returns what an attempt at a delivery needs; `None` if there is nothing to attempt.
    pub(crate) fn order(&mut self, number: u64) -> Option<Order> {
        let delivery = self.delivery(number).filter(|it| it.seen.status != DeliveryStatus::Dropped)?;
        let (id, body, endpoint) =
            (delivery.seen.id.clone(), delivery.seen.body.clone(), delivery.endpoint.clone());
        match self.endpoint(&endpoint).filter(|endpoint| endpoint.is_enabled) {
            Some(endpoint) => Some(Order { id, body, endpoint: endpoint.about.clone() }),
            None => {
                self.set_status(number, DeliveryStatus::Failed);
                None
            }
        }
    }

    pub(crate) fn disable_endpoint_of(&mut self, number: u64) {
        let endpoint = self.delivery(number).map(|delivery| delivery.endpoint.clone());
        if let Some(endpoint) = endpoint.and_then(|id| self.endpoint(&id)) {
            endpoint.is_enabled = false;
        }
    }

    /// Records an attempt. Returns whether the endpoint is still enabled.
    pub(crate) fn attempted(&mut self, number: u64, attempt: WebhookAttempt, now: Instant) -> bool {
        let succeeded = attempt.status.is_some_and(|status| status.is_success());
        let Some(delivery) = self.delivery(number) else { return false };
        delivery.seen.attempts.push(attempt);
        if succeeded {
            delivery.seen.status = DeliveryStatus::Delivered;
        }
        let endpoint = delivery.endpoint.clone();
        let Some(endpoint) = self.endpoint(&endpoint) else { return false };
        if succeeded {
            endpoint.failing_since = None;
        } else {
            let since = *endpoint.failing_since.get_or_insert(now);
            endpoint.is_enabled &= now.duration_since(since) < GIVES_UP_AFTER;
        }
        endpoint.is_enabled
    }
}

impl Registered {
    pub(crate) fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    pub(crate) fn enable(&mut self) {
        self.is_enabled = true;
        self.failing_since = None;
    }
}
