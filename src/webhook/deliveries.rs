//! Which deliveries are done, and which are under way (rule W4).

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// How long the id of a delivery that is done is remembered. The sender's last attempt is 27 h 35 min after the first one
/// (<https://docs.svix.com/retries>).
const REMEMBERED: Duration = Duration::from_secs(48 * 3600);

/// Ids of done deliveries that are remembered. Beyond that the oldest is forgotten, and its event may be handled again.
const MOST_DONE: usize = 65_536;

/// Deliveries that the sink handles at once. Each one holds its body, of up to 1 MiB.
const MOST_UNDER_WAY: usize = 64;

/// The deliveries of a service, by id.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    done: HashSet<Arc<str>>,
    /// The done ids, in the order of their completion.
    order: VecDeque<(Instant, Arc<str>)>,
    under_way: HashSet<Arc<str>>,
}

/// The place of a delivery in its life.
pub(super) enum Begun {
    /// It has been done before.
    Done,
    /// The same id is under way, or there are too many others.
    Busy,
    New(Delivery),
}

/// A delivery that is under way until this is dropped.
pub(super) struct Delivery {
    deliveries: Arc<Deliveries>,
    id: Arc<str>,
}

impl Deliveries {
    pub(super) fn begin(self: &Arc<Self>, id: &str, now: Instant) -> Begun {
        let mut ids = lock(&self.0);
        ids.forget_old(now);
        if ids.done.contains(id) {
            return Begun::Done;
        }
        if ids.under_way.len() >= MOST_UNDER_WAY {
            return Begun::Busy;
        }
        let id: Arc<str> = id.into();
        match ids.under_way.insert(Arc::clone(&id)) {
            true => Begun::New(Delivery { deliveries: Arc::clone(self), id }),
            false => Begun::Busy,
        }
    }
}

impl Ids {
    fn forget_old(&mut self, now: Instant) {
        while let Some((at, id)) = self.order.front() {
            if now.saturating_duration_since(*at) < REMEMBERED && self.order.len() <= MOST_DONE {
                return;
            }
            self.done.remove(id);
            self.order.pop_front();
        }
    }
}

impl Delivery {
    /// Remembers that the delivery is done.
    pub(super) fn done(self, now: Instant) {
        let mut ids = lock(&self.deliveries.0);
        // Only what is under way gets here, so the id is not among the done ones.
        ids.done.insert(Arc::clone(&self.id));
        ids.order.push_back((now, Arc::clone(&self.id)));
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        lock(&self.deliveries.0).under_way.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(deliveries: &Arc<Deliveries>, id: &str) -> Option<Delivery> {
        match deliveries.begin(id, Instant::now()) {
            Begun::New(delivery) => Some(delivery),
            Begun::Done | Begun::Busy => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn w4_an_id_is_done_only_after_success_and_for_48_hours() {
        let deliveries = Arc::<Deliveries>::default();
        drop(begin(&deliveries, "msg_1").unwrap());
        let again = begin(&deliveries, "msg_1").expect("it was not done");
        assert!(matches!(deliveries.begin("msg_1", Instant::now()), Begun::Busy), "it is under way");
        again.done(Instant::now());
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        assert!(matches!(deliveries.begin("msg_1", Instant::now()), Begun::Done));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(begin(&deliveries, "msg_1").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn w4_ids_are_bounded() {
        let deliveries = Arc::<Deliveries>::default();
        for at in 0..MOST_DONE + 100 {
            begin(&deliveries, &at.to_string()).unwrap().done(Instant::now());
        }
        assert!(begin(&deliveries, "0").is_some(), "the oldest is forgotten");
        assert!(begin(&deliveries, &(MOST_DONE + 99).to_string()).is_none());
        let ids = lock(&deliveries.0);
        assert!(ids.done.len() <= MOST_DONE && ids.done.len() == ids.order.len(), "{}", ids.done.len());
        drop(ids);
        let under_way: Vec<_> =
            (0..MOST_UNDER_WAY).map(|at| begin(&deliveries, &format!("new {at}")).unwrap()).collect();
        assert!(matches!(deliveries.begin("one more", Instant::now()), Begun::Busy));
        drop(under_way);
        assert!(begin(&deliveries, "one more").is_some());
    }
}
