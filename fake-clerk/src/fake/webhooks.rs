//! Webhooks: endpoints, deliveries, and what a test makes of them.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use crate::clock::Now;
use crate::fake::{FakeClerk, World};
use crate::ids;
use crate::request::Call;
use crate::settings::FakeClerkBuilder;
use crate::sync::lock;
use crate::views::Page;
use crate::webhooks::random::shuffle;
use crate::webhooks::{DeliveryStatus, Webhooks};
use crate::webhooks::{WebhookDelivery, WebhookEndpoint, WebhookFault};

/// Webhooks.
///
/// The instance sends an event for each change of a user, a session, an organization, a membership, a role or a
/// permission, whether a request makes it or a method of this type. Deliveries are signed and retried as
/// [Svix](https://docs.svix.com/retries) does it for Clerk: eight attempts within 27 h 35 min, 15 s for each, and an
/// answer of 3xx is a failure. Nothing keeps them in order.
///
/// They are sent by tasks of the tokio runtime in which the change is made. Outside of a runtime they wait for the next
/// change, or for [`settle_webhooks`](Self::settle_webhooks), within one.
impl FakeClerk {
    /// Registers an endpoint, and returns its id, `ep_…`. It receives the events from now on.
    pub fn add_webhook(&self, endpoint: WebhookEndpoint) -> String {
        self.inner.webhooks.mailbox(|mailbox| mailbox.add_endpoint(endpoint))
    }

    /// Removes an endpoint. Its pending deliveries fail.
    ///
    /// # Panics
    ///
    /// Panics if there is no such endpoint.
    pub fn remove_webhook(&self, endpoint: &str) {
        let removed = self.inner.webhooks.mailbox(|mailbox| mailbox.remove_endpoint(endpoint));
        assert!(removed, "no endpoint {endpoint:?}");
    }

    /// Whether an endpoint receives events.
    ///
    /// Svix disables one at which all attempts have failed for five days, and one that answers with
    /// [`webhook-delivery: disable`](https://docs.svix.com/receiving/delivery-control).
    ///
    /// # Panics
    ///
    /// Panics if there is no such endpoint.
    #[must_use]
    pub fn webhook_is_enabled(&self, endpoint: &str) -> bool {
        let found = self.inner.webhooks.mailbox(|mailbox| Some(mailbox.endpoint(endpoint)?.is_enabled()));
        found.unwrap_or_else(|| panic!("no endpoint {endpoint:?}"))
    }

    /// Enables an endpoint again, as an administrator does it in Clerk's dashboard.
    ///
    /// # Panics
    ///
    /// Panics if there is no such endpoint.
    pub fn enable_webhook(&self, endpoint: &str) {
        let found = self.inner.webhooks.mailbox(|mailbox| mailbox.endpoint(endpoint).map(|it| it.enable()));
        found.unwrap_or_else(|| panic!("no endpoint {endpoint:?}"));
    }

    /// Returns the deliveries so far, in the order of the events. The log stores the last 20,000.
    #[must_use]
    pub fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.inner.webhooks.mailbox(|mailbox| mailbox.deliveries())
    }

    /// Waits until no attempt is under way or due. Attempts that are due later, such as retries, aren't waited for.
    pub async fn settle_webhooks(&self) {
        self.inner.webhooks.settle().await;
    }

    /// Keeps back the events from now on, until [`release_webhooks`](Self::release_webhooks).
    ///
    /// Use it with [`deliver_webhooks`](Self::deliver_webhooks) to deliver them in an order of your own.
    pub fn hold_webhooks(&self) {
        self.inner.webhooks.mailbox(|mailbox| mailbox.holds = true);
    }

    /// Sends all events that are held, and holds no further ones.
    pub fn release_webhooks(&self) {
        self.inner.webhooks.mailbox(|mailbox| {
            mailbox.holds = false;
            mailbox.numbers(is_held).into_iter().for_each(|number| mailbox.send(number));
        });
        self.inner.webhooks.start();
    }

    /// Makes one attempt to deliver each of these events, in this order and one after the other, and returns the
    /// statuses that were answered; `None` where there was no answer within 15 s.
    ///
    /// An id may be repeated. Each of several endpoints has a status of its own. A failed attempt isn't retried.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use fake_clerk::{FakeClerk, WebhookEndpoint, WebhookSecret};
    /// use http::StatusCode;
    ///
    /// let clerk = FakeClerk::new();
    /// let secret = WebhookSecret::random();
    /// clerk.add_webhook(WebhookEndpoint::in_process(secret, |_| async { StatusCode::NO_CONTENT }));
    /// clerk.hold_webhooks();
    /// clerk.ban("jane");
    /// clerk.unban("jane");
    /// let held: Vec<_> = clerk.deliveries();
    /// // The lift of the ban arrives first, and the ban twice.
    /// let order = [held[1].id(), held[0].id(), held[0].id()];
    /// assert_eq!(clerk.deliver_webhooks(order).await, [Some(StatusCode::NO_CONTENT); 3]);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no such event.
    pub async fn deliver_webhooks<I>(&self, ids: I) -> Vec<Option<StatusCode>>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let webhooks = Arc::clone(&self.inner.webhooks);
        let numbers: Vec<u64> = ids.into_iter().flat_map(|id| numbers_of(&webhooks, id.as_ref())).collect();
        let mut statuses = Vec::with_capacity(numbers.len());
        for number in numbers {
            statuses.push(webhooks.deliver_once(number).await);
        }
        statuses
    }

    /// Makes one attempt to deliver each event that is held, in an order that the seed decides.
    ///
    /// See [`deliver_webhooks`](Self::deliver_webhooks).
    pub async fn deliver_webhooks_shuffled(&self, seed: u64) -> Vec<Option<StatusCode>> {
        let mut held = self.deliveries();
        held.retain(is_held);
        // An event has one delivery for each endpoint, next to each other.
        held.dedup_by(|one, other| one.id() == other.id());
        shuffle(&mut held, seed);
        self.deliver_webhooks(held.iter().map(WebhookDelivery::id)).await
    }

    /// Drops an event that is held or pending.
    ///
    /// # Panics
    ///
    /// Panics if there is no such event.
    pub fn drop_webhook(&self, id: &str) {
        for number in numbers_of(&self.inner.webhooks, id) {
            self.inner.webhooks.mailbox(|mailbox| mailbox.set_status(number, DeliveryStatus::Dropped));
        }
    }

    /// Sends an event again, from the first attempt of the schedule on, like "Replay" in Clerk's dashboard.
    ///
    /// # Panics
    ///
    /// Panics if there is no such event.
    pub fn replay_webhook(&self, id: &str) {
        for number in numbers_of(&self.inner.webhooks, id) {
            self.inner.webhooks.mailbox(|mailbox| mailbox.send(number));
        }
        self.inner.webhooks.start();
    }

    /// Injects a fault into the delivery of the next event. Faults queue up.
    pub fn script_webhook(&self, fault: WebhookFault) {
        self.inner.webhooks.mailbox(|mailbox| mailbox.faults.push_back(fault));
    }

    /// Sends an event of any type with any data, in Clerk's envelope, and returns its id, `msg_…`.
    ///
    /// Use it for the events whose cause the stand-in doesn't implement.
    pub fn send_webhook(&self, event: &str, data: Value) -> String {
        let body = {
            let world = &*lock(&self.inner.world);
            let now = Now::read(&self.inner.clock, world.settings.clock_skew);
            envelope(&world.settings, now, None, event, data)
        };
        let id = self.inner.webhooks.post(event, &body);
        self.inner.webhooks.start();
        id
    }

    /// Queues an event for each change since the last call. The caller starts the deliveries, without the lock.
    pub(crate) fn post_changes(&self, world: &mut World, now: Now, call: Option<&Call>) {
        let changes = std::mem::take(&mut world.state.changes);
        let webhooks = &self.inner.webhooks;
        if changes.is_empty() || !webhooks.mailbox(|mailbox| mailbox.has_endpoints()) {
            return;
        }
        let page = Page::new(&world.state, &world.settings, "", None, now);
        for (event, data) in changes.iter().filter_map(|change| page.event(change)) {
            webhooks.post(event, &envelope(&world.settings, now, call, event, data));
        }
    }
}

fn is_held(delivery: &WebhookDelivery) -> bool {
    delivery.status() == DeliveryStatus::Held
}

fn numbers_of(webhooks: &Webhooks, id: &str) -> Vec<u64> {
    let numbers = webhooks.mailbox(|mailbox| mailbox.numbers_of(id));
    assert!(!numbers.is_empty(), "no event {id:?}");
    numbers
}

/// Renders an event. The request that caused it is described in `event_attributes`; a test causes some without one.
fn envelope(settings: &FakeClerkBuilder, now: Now, call: Option<&Call>, event: &str, data: Value) -> Bytes {
    let address = call.and_then(|call| call.peer).map(|peer| peer.to_string()).unwrap_or_default();
    let agent = call.and_then(|call| call.headers.get(USER_AGENT)?.to_str().ok()).unwrap_or_default();
    let mut envelope = json!({
        "object": "event",
        "type": event,
        "timestamp": if settings.webhook_seconds { now.unix() } else { now.ms },
        "instance_id": ids::derived("ins", &settings.host),
        "event_attributes": { "http_request": { "client_ip": address, "user_agent": agent } },
    });
    // Moved in afterwards; `json!` would clone it.
    envelope["data"] = data;
    Bytes::from(envelope.to_string())
}
