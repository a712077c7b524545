//! Holds requests at an endpoint, so that a test can force a race.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use crate::endpoint::Endpoint;
use crate::sync::lock;

/// The point in a request's life at which it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Clerk has received the request, but not carried it out.
    Arrival,
    /// Clerk has carried the request out, but not sent the response.
    Answer,
}

/// Holds requests at an endpoint until it is released.
///
/// Comes from [`FakeClerk::hold`](crate::FakeClerk::hold) and [`hold_answer`](crate::FakeClerk::hold_answer).
/// Dropping it releases all held requests.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use fake_clerk::{Endpoint, FakeClerk};
/// # use bytes::Bytes;
/// let clerk = FakeClerk::new();
/// let hold = clerk.hold(Endpoint::Jwks);
/// let request = http::Request::get(clerk.fapi_url() + "/.well-known/jwks.json").body(Bytes::new()).unwrap();
/// let answer = tokio::spawn({
///     let clerk = clerk.clone();
///     async move { clerk.handle(request).await }
/// });
/// hold.arrived(1).await;
/// // Now the request is under way, and something else can happen.
/// hold.release();
/// assert_eq!(answer.await.unwrap().unwrap().status(), 200);
/// # }
/// ```
#[must_use = "dropped, it holds nothing"]
pub struct Hold {
    gate: Arc<Gate>,
    gates: Arc<Gates>,
}

/// All gates of a stand-in.
#[derive(Default)]
pub(crate) struct Gates(Mutex<Vec<Arc<Gate>>>);

struct Gate {
    endpoint: Endpoint,
    moment: Moment,
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
    /// Counts arrivals, to wake tests that wait for them.
    arrivals: watch::Sender<usize>,
}

impl Gates {
    pub(crate) fn close(self: &Arc<Self>, endpoint: Endpoint, moment: Moment) -> Hold {
        let gate =
            Arc::new(Gate { endpoint, moment, waiting: Mutex::default(), arrivals: watch::Sender::new(0) });
        lock(&self.0).push(Arc::clone(&gate));
        Hold { gate, gates: Arc::clone(self) }
    }

    /// Waits at every matching gate.
    pub(crate) async fn pass(&self, endpoint: Endpoint, moment: Moment) {
        let on_the_way: Vec<_> = lock(&self.0)
            .iter()
            .filter(|gate| gate.moment == moment && endpoint.groups().any(|group| group == gate.endpoint))
            .cloned()
            .collect();
        for gate in on_the_way {
            let waiting = {
                let gates = lock(&self.0);
                // The gate was removed while this request waited at an earlier one.
                if !gates.iter().any(|closed| Arc::ptr_eq(closed, &gate)) {
                    continue;
                }
                let (go, waiting) = oneshot::channel();
                lock(&gate.waiting).push_back(go);
                gate.arrivals.send_modify(|count| *count += 1);
                waiting
            };
            // An error means that the gate was dropped, which lets the request go as well.
            let _ = waiting.await;
        }
    }
}

impl Hold {
    /// Waits until `count` requests are held at the same time. Cancelled requests don't count.
    pub async fn arrived(&self, count: usize) {
        let mut arrivals = self.gate.arrivals.subscribe();
        // The sender lives in the gate, which `self` owns, so the wait ends only when the count is reached.
        let _ = arrivals.wait_for(|_| self.waiting() >= count).await;
    }

    /// Returns the number of requests held now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.gate.waiting).iter().filter(|go| !go.is_closed()).count()
    }

    /// Releases the request that has waited longest. Returns whether there was one.
    pub fn release_one(&self) -> bool {
        let mut waiting = lock(&self.gate.waiting);
        while let Some(go) = waiting.pop_front() {
            if go.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    /// Releases all held requests, and holds no further ones.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut gates = lock(&self.gates.0);
        gates.retain(|gate| !Arc::ptr_eq(gate, &self.gate));
        // Under the lock that `pass` takes to join the queue, so that no request joins afterwards.
        for go in lock(&self.gate.waiting).drain(..) {
            let _ = go.send(());
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("endpoint", &self.gate.endpoint)
            .field("moment", &self.gate.moment)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
