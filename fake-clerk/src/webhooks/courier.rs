//! Sends events to endpoints, and tries again.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::FakeClock;
use crate::sync::lock;
use crate::webhooks::attempt::send;
use crate::webhooks::delivery::{DeliveryStatus, WebhookAttempt};
#[cfg(feature = "server")]
use crate::webhooks::endpoint::Target;
use crate::webhooks::mailbox::{Due, Mailbox};
#[cfg(feature = "server")]
use crate::webhooks::socket;

/// The time before each attempt, counted from the failure of the one before it: <https://docs.svix.com/retries>.
const SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];

/// The time that an endpoint has for its answer: <https://docs.svix.com/retries>.
const TIME: Duration = Duration::from_secs(15);

/// The endpoints of an instance, and what is sent to them.
pub(crate) struct Webhooks {
    clock: FakeClock,
    mailbox: Mutex<Mailbox>,
    /// The number of attempts that are under way or due.
    busy: watch::Sender<usize>,
    #[cfg(feature = "server")]
    sockets: tokio::sync::Semaphore,
}

/// Whether another attempt follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Retry,
    Nothing,
}

/// Counts an attempt as under way or due until it is dropped, with its task or without.
struct Busy(Weak<Webhooks>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(webhooks) = self.0.upgrade() {
            webhooks.busy.send_modify(|count| *count -= 1);
        }
    }
}

impl Webhooks {
    pub(crate) fn new(clock: FakeClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            mailbox: Mutex::default(),
            busy: watch::Sender::new(0),
            #[cfg(feature = "server")]
            sockets: tokio::sync::Semaphore::new(socket::MOST),
        })
    }

    pub(crate) fn mailbox<T>(&self, change: impl FnOnce(&mut Mailbox) -> T) -> T {
        change(&mut lock(&self.mailbox))
    }

    /// Queues an event for the endpoints that want it, and returns its id. [`start`](Self::start) sends it.
    pub(crate) fn post(&self, event: &str, body: &Bytes) -> String {
        self.mailbox(|mailbox| mailbox.post(event, body))
    }

    /// Starts all deliveries that are due. Without a runtime they wait for the next call within one.
    pub(crate) fn start(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        for Due { number, delay } in self.mailbox(Mailbox::take_due) {
            let first = delay.is_zero().then(|| self.busy());
            runtime.spawn(deliver(Arc::downgrade(self), number, delay, first));
        }
    }

    /// Waits until no attempt is under way or due now.
    pub(crate) async fn settle(self: &Arc<Self>) {
        self.start();
        // The sender lives in `self`, so the wait ends only when the count is reached.
        let _ = self.busy.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Makes an attempt outside of the schedule, and returns the status of the answer.
    pub(crate) async fn deliver_once(&self, number: u64) -> Option<StatusCode> {
        self.attempt(number).await.1
    }

    /// Makes an attempt, and records it. Returns the status of the answer, too.
    async fn attempt(&self, number: u64) -> (Next, Option<StatusCode>) {
        let Some(order) = self.mailbox(|mailbox| mailbox.order(number)) else { return (Next::Nothing, None) };
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
        let next = self.mailbox(|mailbox| {
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
                return Next::Nothing;
            }
            if is_enabled && !aborts {
                return Next::Retry;
            }
            mailbox.set_status(number, DeliveryStatus::Failed);
            Next::Nothing
        });
        (next, status)
    }

    /// Returns the time that a delivery is signed with, in seconds since 1970.
    fn timestamp(&self) -> i64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|count| *count += 1);
        Busy(Arc::downgrade(self))
    }
}

/// Attempts a delivery until it succeeds or the schedule ends.
///
/// Retries take a day, so that they don't keep the instance alive.
async fn deliver(webhooks: Weak<Webhooks>, number: u64, delay: Duration, mut due: Option<Busy>) {
    for wait in SCHEDULE {
        let wait = if wait.is_zero() { delay } else { wait };
        if !wait.is_zero() {
            due = None;
            tokio::time::sleep(wait).await;
        }
        let Some(webhooks) = webhooks.upgrade() else { return };
        due.get_or_insert_with(|| webhooks.busy());
        if webhooks.attempt(number).await.0 != Next::Retry {
            return;
        }
    }
    if let Some(webhooks) = webhooks.upgrade() {
        webhooks.mailbox(|mailbox| mailbox.set_status(number, DeliveryStatus::Failed));
    }
}
