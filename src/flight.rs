//! One piece of work per key at a time, in a task of its own, shared by all who want its outcome (rule K8).
//!
//! A caller that goes away neither cancels the work nor makes another repeat it, which is what happens when a
//! cache's own loading runs in its first caller: moka starts over when that caller is dropped, and panics when 200
//! in a row are. A piece of work that panics tells all its callers so and leaves nothing behind.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use crate::sync::lock;

/// The flights of one kind.
#[derive(Debug)]
pub(crate) struct Flights<K, V, S = RandomState> {
    aloft: Mutex<Aloft<K, V, S>>,
    landed: Notify,
    most: usize,
}

/// Where each flight's outcome will come from.
type Aloft<K, V, S> = HashMap<K, Arc<watch::Sender<Option<V>>>, S>;

/// The flight ended without an outcome: it panicked, or the runtime was shut down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// What became of a wish to join.
#[derive(Debug)]
pub(crate) enum Join<V> {
    /// A seat in a flight; whether this caller started it.
    Seat(Seat<V>, bool),
    /// The outcome was there already.
    Ready(V),
    /// As many flights as are allowed are under way.
    Full,
}

/// A caller's claim to the outcome.
#[derive(Debug)]
pub(crate) struct Seat<V>(watch::Receiver<Option<V>>);

impl<V: Clone> Seat<V> {
    /// Waits for the outcome.
    pub(crate) async fn outcome(mut self) -> Result<V, Lost> {
        let outcome = self.0.wait_for(Option::is_some).await.map_err(|_| Lost)?;
        outcome.clone().ok_or(Lost)
    }
}

impl<K, V, S> Flights<K, V, S>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    pub(crate) fn new(most: usize) -> Self {
        Self { aloft: Mutex::new(HashMap::default()), landed: Notify::new(), most }
    }

    /// Joins the key's flight, or starts one.
    ///
    /// `already` is asked under the lock when no flight is under way: a caller that looked before a flight landed
    /// and joins after it must find what that flight brought, not start another. A flight stores its outcome
    /// before it ends.
    pub(crate) fn join<F>(
        self: &Arc<Self>,
        key: K,
        already: impl FnOnce() -> Option<V>,
        fly: impl FnOnce(Passengers<K, V, S>) -> F,
    ) -> Join<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut aloft = lock(&self.aloft);
        let full = aloft.len() >= self.most;
        let vacant = match aloft.entry(key) {
            Entry::Occupied(flight) => return Join::Seat(Seat(flight.get().subscribe()), false),
            Entry::Vacant(vacant) => vacant,
        };
        if let Some(outcome) = already() {
            return Join::Ready(outcome);
        }
        if full {
            return Join::Full;
        }
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        let passengers = Passengers { flights: Arc::clone(self), key: vacant.key().clone(), sender };
        vacant.insert(Arc::clone(&passengers.sender));
        drop(aloft);
        let landing = Landing(Passengers {
            flights: Arc::clone(self),
            key: passengers.key.clone(),
            sender: Arc::clone(&passengers.sender),
        });
        let work = fly(passengers);
        tokio::spawn(async move {
            let outcome = work.await;
            // Off the list first: who has heard this outcome and asks again must not meet the same flight.
            let sender = Arc::clone(&landing.0.sender);
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        Join::Seat(Seat(receiver), true)
    }

    /// Waits until none is under way.
    pub(crate) async fn all_landed(&self) {
        loop {
            // Listening begins before the look, so that no landing is missed in between.
            let mut landed = pin!(self.landed.notified());
            landed.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            landed.await;
        }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        lock(&self.aloft).len()
    }
}

/// Those who wait for a flight, as the flight sees them.
pub(crate) struct Passengers<K: Hash + Eq, V, S: BuildHasher> {
    flights: Arc<Flights<K, V, S>>,
    key: K,
    sender: Arc<watch::Sender<Option<V>>>,
}

impl<K: Hash + Eq, V, S: BuildHasher> Passengers<K, V, S> {
    /// Waits until nobody waits any more, and then takes the flight off the list, so that nobody can join it:
    /// who calls this gives the work up.
    pub(crate) async fn gone(&self) {
        loop {
            self.sender.closed().await;
            let mut aloft = lock(&self.flights.aloft);
            // Somebody may have joined since; joining happens under this lock.
            if self.sender.receiver_count() == 0 {
                self.leave(&mut aloft);
                return;
            }
        }
    }

    fn leave(&self, aloft: &mut Aloft<K, V, S>) {
        // A flight that was given up may have been followed by another of the same key.
        if aloft.get(&self.key).is_some_and(|sender| Arc::ptr_eq(sender, &self.sender)) {
            aloft.remove(&self.key);
            self.flights.landed.notify_waiters();
        }
    }
}

/// Takes the flight off the list when its task ends, however it ends.
struct Landing<K: Hash + Eq, V, S: BuildHasher>(Passengers<K, V, S>);

impl<K: Hash + Eq, V, S: BuildHasher> Drop for Landing<K, V, S> {
    fn drop(&mut self) {
        self.0.leave(&mut lock(&self.0.flights.aloft));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    type Numbers = Flights<u8, usize>;

    fn flights() -> Arc<Numbers> {
        Arc::new(Flights::new(10))
    }

    fn seat(join: Join<usize>) -> Seat<usize> {
        match join {
            Join::Seat(seat, _) => seat,
            other => panic!("no seat: {other:?}"),
        }
    }

    #[tokio::test]
    async fn k8_all_joiners_share_one_flight() {
        let (flights, runs, go) = (flights(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let seats: Vec<_> = (0..100)
            .map(|_| {
                let (runs, go) = (runs.clone(), go.clone());
                seat(flights.join(
                    1,
                    || None,
                    |_| async move {
                        go.notified().await;
                        runs.fetch_add(1, Ordering::SeqCst) + 7
                    },
                ))
            })
            .collect();
        assert_eq!(flights.len(), 1);
        go.notify_one();
        for seat in seats {
            assert_eq!(seat.outcome().await, Ok(7));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        tokio::task::yield_now().await;
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn k8_the_leader_going_away_harms_no_joiner() {
        let (flights, go) = (flights(), Arc::new(Notify::new()));
        let leader = {
            let go = go.clone();
            seat(flights.join(
                1,
                || None,
                |_| async move {
                    go.notified().await;
                    5
                },
            ))
        };
        let joiner = seat(flights.join(1, || None, |_| async { unreachable!("a flight is under way") }));
        drop(leader);
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(joiner.outcome().await, Ok(5));
    }

    #[tokio::test]
    async fn k8_a_panic_is_told_to_all_and_leaves_nothing_behind() {
        let flights = flights();
        let first = seat(flights.join(1, || None, |_| async { panic!("scripted") }));
        let second = seat(flights.join(1, || None, |_| async { 1 }));
        assert_eq!((first.outcome().await, second.outcome().await), (Err(Lost), Err(Lost)));
        assert_eq!(flights.len(), 0);
        assert_eq!(seat(flights.join(1, || None, |_| async { 2 })).outcome().await, Ok(2));
    }

    #[tokio::test]
    async fn p1_a_flight_nobody_waits_for_can_be_given_up_and_followed_by_another() {
        let flights = flights();
        let given_up = Arc::new(Notify::new());
        let told = given_up.clone();
        let only = seat(flights.join(
            1,
            || None,
            |passengers| async move {
                passengers.gone().await;
                told.notify_one();
                0
            },
        ));
        drop(only);
        given_up.notified().await;
        assert_eq!(seat(flights.join(1, || None, |_| async { 3 })).outcome().await, Ok(3));
    }

    #[tokio::test]
    async fn who_looked_before_a_landing_and_joins_after_it_finds_what_it_brought() {
        let flights = flights();
        let join = flights.join(1, || Some(9), |_| async { unreachable!("the outcome is there") });
        assert!(matches!(join, Join::Ready(9)));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn k7_flights_are_bounded() {
        let flights = Arc::new(Numbers::new(1));
        let _seat = seat(flights.join(1, || None, |_| std::future::pending()));
        assert!(matches!(flights.join(2, || None, |_| std::future::pending()), Join::Full));
        assert!(matches!(flights.join(1, || None, |_| std::future::pending()), Join::Seat(_, false)));
    }
}
