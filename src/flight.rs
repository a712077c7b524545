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
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::sync::lock;

/// The flights of one kind.
#[derive(Debug)]
pub(crate) struct Flights<K, V, S = RandomState> {
    aloft: Mutex<Aloft<K, V, S>>,
    landed: Notify,
    most: usize,
}

/// Where each flight's outcome will come from.
type Aloft<K, V, S> = HashMap<K, Arc<Flight<V>>, S>;

#[derive(Debug)]
struct Flight<V> {
    progress: watch::Sender<Progress<V>>,
    purpose: Purpose,
}

/// How far a flight has come.
#[derive(Clone, Debug)]
enum Progress<V> {
    /// It waits for its turn, if it needs one.
    Waiting,
    /// It asks Clerk since then.
    Departed(Instant),
    Done(V),
}

/// What a flight is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request waits for it.
    Request,
    /// It prepares for later requests, and may wait for long. A request never waits for it to depart: it takes its place
    /// (rule K8).
    Background,
}

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
pub(crate) struct Seat<V>(watch::Receiver<Progress<V>>);

impl<V: Clone> Seat<V> {
    /// Waits for the outcome.
    pub(crate) async fn outcome(mut self) -> Result<V, Lost> {
        let done =
            self.0.wait_for(|progress| matches!(progress, Progress::Done(_))).await.map_err(|_| Lost)?;
        match &*done {
            Progress::Done(outcome) => Ok(outcome.clone()),
            Progress::Waiting | Progress::Departed(_) => Err(Lost),
        }
    }

    /// Waits for the outcome: until `turn_by` for the departure, and from the departure on for `time`. `None` where that
    /// was not enough.
    pub(crate) async fn outcome_within(
        mut self,
        turn_by: Instant,
        time: Duration,
    ) -> Option<Result<V, Lost>> {
        let departs = self.0.wait_for(|progress| !matches!(progress, Progress::Waiting));
        let departed = match tokio::time::timeout_at(turn_by, departs).await.ok()? {
            Err(_) => return Some(Err(Lost)),
            Ok(progress) => match &*progress {
                Progress::Done(outcome) => return Some(Ok(outcome.clone())),
                Progress::Departed(at) => *at,
                Progress::Waiting => return Some(Err(Lost)),
            },
        };
        tokio::time::timeout_at(departed + time, self.outcome()).await.ok()
    }
}

/// Publishes that a flight departs.
#[derive(Debug)]
pub(crate) struct Departure<V>(Arc<Flight<V>>);

impl<V> Departure<V> {
    pub(crate) fn depart(&self, now: Instant) {
        self.0.progress.send_if_modified(|progress| {
            let departs = matches!(progress, Progress::Waiting);
            if departs {
                *progress = Progress::Departed(now);
            }
            departs
        });
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
    /// `already` is asked under the lock when there is no flight to join: a caller that looked before a flight landed
    /// and joins after it must find what that flight brought, not start another. A flight stores its outcome
    /// before it ends.
    pub(crate) fn join<F>(
        self: &Arc<Self>,
        key: K,
        purpose: Purpose,
        already: impl FnOnce() -> Option<V>,
        fly: impl FnOnce(Passengers<K, V, S>) -> F,
    ) -> Join<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut aloft = lock(&self.aloft);
        let full = aloft.len() >= self.most;
        let mut entry = aloft.entry(key);
        if let Entry::Occupied(known) = &mut entry {
            let flight = known.get();
            let takes_over = purpose == Purpose::Request
                && flight.purpose == Purpose::Background
                && matches!(*flight.progress.borrow(), Progress::Waiting);
            if !takes_over {
                return Join::Seat(Seat(flight.progress.subscribe()), false);
            }
        }
        if let Some(outcome) = already() {
            return Join::Ready(outcome);
        }
        if full && matches!(entry, Entry::Vacant(_)) {
            return Join::Full;
        }
        let (progress, receiver) = watch::channel(Progress::Waiting);
        let flight = Arc::new(Flight { progress, purpose });
        let key = entry.key().clone();
        entry.insert_entry(Arc::clone(&flight));
        drop(aloft);
        let passengers =
            Passengers { flights: Arc::clone(self), key: key.clone(), flight: Arc::clone(&flight) };
        let landing = Landing(Passengers { flights: Arc::clone(self), key, flight });
        let work = fly(passengers);
        tokio::spawn(async move {
            let outcome = work.await;
            // Off the list first: who has heard this outcome and asks again must not meet the same flight.
            let flight = Arc::clone(&landing.0.flight);
            drop(landing);
            flight.progress.send_replace(Progress::Done(outcome));
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
    flight: Arc<Flight<V>>,
}

impl<K: Hash + Eq, V, S: BuildHasher> Passengers<K, V, S> {
    pub(crate) fn departure(&self) -> Departure<V> {
        Departure(Arc::clone(&self.flight))
    }

    /// Waits until nobody waits any more, and then takes the flight off the list, so that nobody can join it:
    /// who calls this gives the work up.
    pub(crate) async fn gone(&self) {
        loop {
            self.flight.progress.closed().await;
            let mut aloft = lock(&self.flights.aloft);
            // Somebody may have joined since; joining happens under this lock.
            if self.flight.progress.receiver_count() == 0 {
                self.leave(&mut aloft);
                return;
            }
        }
    }

    fn leave(&self, aloft: &mut Aloft<K, V, S>) {
        // A flight that was given up may have been followed by another of the same key.
        if aloft.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
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
                    Purpose::Request,
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
                Purpose::Request,
                || None,
                |_| async move {
                    go.notified().await;
                    5
                },
            ))
        };
        let joiner = seat(flights.join(
            1,
            Purpose::Request,
            || None,
            |_| async { unreachable!("a flight is under way") },
        ));
        drop(leader);
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(joiner.outcome().await, Ok(5));
    }

    #[tokio::test]
    async fn k8_a_panic_is_told_to_all_and_leaves_nothing_behind() {
        let flights = flights();
        let first = seat(flights.join(1, Purpose::Request, || None, |_| async { panic!("scripted") }));
        let second = seat(flights.join(1, Purpose::Request, || None, |_| async { 1 }));
        assert_eq!((first.outcome().await, second.outcome().await), (Err(Lost), Err(Lost)));
        assert_eq!(flights.len(), 0);
        assert_eq!(seat(flights.join(1, Purpose::Request, || None, |_| async { 2 })).outcome().await, Ok(2));
    }

    #[tokio::test]
    async fn p1_a_flight_nobody_waits_for_can_be_given_up_and_followed_by_another() {
        let flights = flights();
        let given_up = Arc::new(Notify::new());
        let told = given_up.clone();
        let only = seat(flights.join(
            1,
            Purpose::Request,
            || None,
            |passengers| async move {
                passengers.gone().await;
                told.notify_one();
                0
            },
        ));
        drop(only);
        given_up.notified().await;
        assert_eq!(seat(flights.join(1, Purpose::Request, || None, |_| async { 3 })).outcome().await, Ok(3));
    }

    #[tokio::test]
    async fn who_looked_before_a_landing_and_joins_after_it_finds_what_it_brought() {
        let flights = flights();
        let join =
            flights.join(1, Purpose::Request, || Some(9), |_| async { unreachable!("the outcome is there") });
        assert!(matches!(join, Join::Ready(9)));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn k7_flights_are_bounded() {
        let flights = Arc::new(Numbers::new(1));
        let _seat = seat(flights.join(1, Purpose::Request, || None, |_| std::future::pending()));
        assert!(matches!(flights.join(2, Purpose::Request, || None, |_| std::future::pending()), Join::Full));
        assert!(matches!(
            flights.join(1, Purpose::Request, || None, |_| std::future::pending()),
            Join::Seat(_, false)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn k8_a_request_takes_the_place_of_background_work_that_waits_and_joins_what_has_departed() {
        let (flights, go) = (flights(), Arc::new(Notify::new()));
        let background = |flights: &Arc<Numbers>, departs: bool| {
            let go = go.clone();
            flights.join(
                1,
                Purpose::Background,
                || None,
                |passengers| {
                    let departure = passengers.departure();
                    async move {
                        if departs {
                            departure.depart(Instant::now());
                        }
                        go.notified().await;
                        1
                    }
                },
            )
        };
        drop(background(&flights, false));
        tokio::task::yield_now().await;
        let request = seat(flights.join(1, Purpose::Request, || None, |_| async { 2 }));
        assert_eq!(request.outcome().await, Ok(2));
        go.notify_one();
        tokio::task::yield_now().await;
        assert_eq!(flights.len(), 0, "and the other one leaves nothing behind");

        drop(background(&flights, true));
        tokio::task::yield_now().await;
        let request =
            seat(flights.join(1, Purpose::Request, || None, |_| async { unreachable!("it departed") }));
        go.notify_one();
        assert_eq!(request.outcome().await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn s6_the_time_of_whoever_joins_runs_from_the_departure() {
        let (flights, second) = (flights(), Duration::from_secs(1));
        let join = |waits: Duration, takes: Duration| {
            seat(flights.join(
                1,
                Purpose::Request,
                || None,
                |passengers| {
                    let departure = passengers.departure();
                    async move {
                        tokio::time::sleep(waits).await;
                        departure.depart(Instant::now());
                        tokio::time::sleep(takes).await;
                        5
                    }
                },
            ))
        };
        let start = Instant::now();
        assert_eq!(
            join(9 * second, 4 * second).outcome_within(start + 10 * second, 5 * second).await,
            Some(Ok(5))
        );
        let start = Instant::now();
        assert_eq!(join(11 * second, second).outcome_within(start + 10 * second, 5 * second).await, None);
        assert_eq!(start.elapsed(), 10 * second);
        tokio::time::sleep(10 * second).await;
        let start = Instant::now();
        assert_eq!(join(9 * second, 6 * second).outcome_within(start + 10 * second, 5 * second).await, None);
        assert_eq!(start.elapsed(), 14 * second);
    }
}
