//! Webhooks, as Svix delivers them for Clerk: endpoints, signatures, attempts and retries.
//!
//! Nothing here knows what the events say.

mod attempt;
mod delivery;
mod endpoint;
#[cfg(feature = "server")]
mod environment;
mod fault;
mod mailbox;
pub(crate) mod random;
mod secret;
#[cfg(feature = "server")]
mod socket;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::FakeClock;
use crate::sync::lock;
use crate::webhooks::attempt::Verdict;
pub use crate::webhooks::delivery::{DeliveryStatus, WebhookAttempt, WebhookDelivery};
pub use crate::webhooks::endpoint::{WebhookEndpoint, WebhookHeaders};
pub use crate::webhooks::fault::WebhookFault;
pub(crate) use crate::webhooks::mailbox::Mailbox;
pub use crate::webhooks::secret::{InvalidWebhook, WebhookSecret};

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

/// The endpoints of an instance, and what is sent to them.
pub(crate) struct Webhooks {
    clock: FakeClock,
    mailbox: Mutex<Mailbox>,
    /// The number of attempts that are under way or due.
    busy: watch::Sender<usize>,
    #[cfg(feature = "server")]
    sockets: tokio::sync::Semaphore,
}

/// A delivery whose attempt is due.
pub(crate) struct Due {
    pub(crate) number: u64,
    pub(crate) delay: Duration,
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
    pub(crate) fn post(&self, event: &str, body: Bytes) -> String {
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
        if webhooks.attempt(number).await.0 != Verdict::TryAgain {
            return;
        }
    }
    if let Some(webhooks) = webhooks.upgrade() {
        webhooks.mailbox(|mailbox| mailbox.set_status(number, DeliveryStatus::Failed));
    }
}
