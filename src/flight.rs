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
pub(crate) struct SingleFlight<K, V, S = RandomState> {
    in_flight: Mutex<InFlight<K, V, S>>,
    finished: Notify,
    most: usize,
}

/// Where each flight's outcome will come from.
type InFlight<K, V, S> = HashMap<K, Arc<Flight<V>>, S>;

#[derive(Debug)]
struct Flight<V> {
    progress: watch::Sender<Progress<V>>,
    priority: Priority,
}

/// How far a flight has come.
#[derive(Clone, Debug)]
enum Progress<V> {
    /// It waits for its turn, if it needs one.
    Waiting,
    /// It asks Clerk since then.
    Started(Instant),
    Done(V),
}

/// What a flight is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A request waits for it.
    Request,
    /// It prepares for later requests, and may wait for long. A request never waits for it to start: it takes its place
    /// (rule K8).
    Background,
}

/// The flight ended without an outcome: it panicked, or the runtime was shut down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FlightLost;

/// What became of a request to join.
#[derive(Debug)]
pub(crate) enum Join<V> {
    /// A waiter in a flight; whether this caller started it.
    Waiter(Waiter<V>, bool),
    /// The outcome was there already.
    Ready(V),
    /// As many flights as are allowed are under way.
    Full,
}

/// A caller's claim to the outcome.
#[derive(Debug)]
pub(crate) struct Waiter<V>(watch::Receiver<Progress<V>>);

impl<V: Clone> Waiter<V> {
    /// Waits for the outcome.
    pub(crate) async fn outcome(mut self) -> Result<V, FlightLost> {
        let done = self
            .0
            .wait_for(|progress| matches!(progress, Progress::Done(_)))
            .await
            .map_err(|_| FlightLost)?;
        match &*done {
            Progress::Done(outcome) => Ok(outcome.clone()),
            Progress::Waiting | Progress::Started(_) => Err(FlightLost),
        }
    }

    /// Waits for the outcome: until `start_by` for the start, and from the start on for `time`. `None` where that
    /// was not enough.
    pub(crate) async fn outcome_within(
        mut self,
        start_by: Instant,
        time: Duration,
    ) -> Option<Result<V, FlightLost>> {
        let starts = self.0.wait_for(|progress| !matches!(progress, Progress::Waiting));
        let started = match tokio::time::timeout_at(start_by, starts).await.ok()? {
            Err(_) => return Some(Err(FlightLost)),
            Ok(progress) => match &*progress {
                Progress::Done(outcome) => return Some(Ok(outcome.clone())),
                Progress::Started(at) => *at,
                Progress::Waiting => return Some(Err(FlightLost)),
            },
        };
        tokio::time::timeout_at(started + time, self.outcome()).await.ok()
    }
}

/// Publishes that a flight starts.
#[derive(Debug)]
pub(crate) struct Start<V>(Arc<Flight<V>>);

impl<V> Start<V> {
    pub(crate) fn start(&self, now: Instant) {
        self.0.progress.send_if_modified(|progress| {
            let starts = matches!(progress, Progress::Waiting);
            if starts {
                *progress = Progress::Started(now);
            }
            starts
        });
    }
}

impl<K, V, S> SingleFlight<K, V, S>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Default + Send + 'static,
{
    pub(crate) fn new(most: usize) -> Self {
        Self { in_flight: Mutex::new(HashMap::default()), finished: Notify::new(), most }
    }

    /// Joins the key's flight, or starts one.
    ///
    /// `already` is asked under the lock when there is no flight to join: a caller that looked before a flight finished
    /// and joins after it must find what that flight brought, not start another. A flight stores its outcome
    /// before it ends.
    pub(crate) fn join<F>(
        self: &Arc<Self>,
        key: K,
        priority: Priority,
        already: impl FnOnce() -> Option<V>,
        run: impl FnOnce(Waiters<K, V, S>) -> F,
    ) -> Join<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut in_flight = lock(&self.in_flight);
        let full = in_flight.len() >= self.most;
        let mut entry = in_flight.entry(key);
        if let Entry::Occupied(known) = &mut entry {
            let flight = known.get();
            let takes_over = priority == Priority::Request
                && flight.priority == Priority::Background
                && matches!(*flight.progress.borrow(), Progress::Waiting);
            if !takes_over {
                return Join::Waiter(Waiter(flight.progress.subscribe()), false);
            }
        }
        if let Some(outcome) = already() {
            return Join::Ready(outcome);
        }
        if full && matches!(entry, Entry::Vacant(_)) {
            return Join::Full;
        }
        let (progress, receiver) = watch::channel(Progress::Waiting);
        let flight = Arc::new(Flight { progress, priority });
        let key = entry.key().clone();
        entry.insert_entry(Arc::clone(&flight));
        drop(in_flight);
        let waiters = Waiters { running: Arc::clone(self), key: key.clone(), flight: Arc::clone(&flight) };
        let finish = Finish(Waiters { running: Arc::clone(self), key, flight });
        let work = run(waiters);
        tokio::spawn(async move {
            let outcome = work.await;
            // Off the list first: who has heard this outcome and asks again must not meet the same flight.
            let flight = Arc::clone(&finish.0.flight);
            drop(finish);
            flight.progress.send_replace(Progress::Done(outcome));
        });
        Join::Waiter(Waiter(receiver), true)
    }

    /// Waits until none is under way.
    pub(crate) async fn all_finished(&self) {
        loop {
            // Listening begins before the look, so that no finish is missed in between.
            let mut finished = pin!(self.finished.notified());
            finished.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            finished.await;
        }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        lock(&self.in_flight).len()
    }
}

/// Those who wait for a flight, as the flight sees them.
pub(crate) struct Waiters<K: Hash + Eq, V, S: BuildHasher> {
    running: Arc<SingleFlight<K, V, S>>,
    key: K,
    flight: Arc<Flight<V>>,
}

impl<K: Hash + Eq, V, S: BuildHasher> Waiters<K, V, S> {
    pub(crate) fn start(&self) -> Start<V> {
        Start(Arc::clone(&self.flight))
    }

    /// Waits until nobody waits any more, and then takes the flight off the list, so that nobody can join it:
    /// who calls this gives the work up.
    pub(crate) async fn gone(&self) {
        loop {
            self.flight.progress.closed().await;
            let mut in_flight = lock(&self.running.in_flight);
            // Somebody may have joined since; joining happens under this lock.
            if self.flight.progress.receiver_count() == 0 {
                self.leave(&mut in_flight);
                return;
            }
        }
    }

    fn leave(&self, in_flight: &mut InFlight<K, V, S>) {
        // A flight that was given up may have been followed by another of the same key.
        if in_flight.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            in_flight.remove(&self.key);
            self.running.finished.notify_waiters();
        }
    }
}

/// Takes the flight off the list when its task ends, however it ends.
struct Finish<K: Hash + Eq, V, S: BuildHasher>(Waiters<K, V, S>);

impl<K: Hash + Eq, V, S: BuildHasher> Drop for Finish<K, V, S> {
    fn drop(&mut self) {
        self.0.leave(&mut lock(&self.0.running.in_flight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    type Numbers = SingleFlight<u8, usize>;

    fn running() -> Arc<Numbers> {
        Arc::new(SingleFlight::new(10))
    }

    fn waiter(join: Join<usize>) -> Waiter<usize> {
        match join {
            Join::Waiter(waiter, _) => waiter,
            other => panic!("no waiter: {other:?}"),
        }
    }

    #[tokio::test]
    async fn k8_all_joiners_share_one_flight() {
        let (running, runs, go) = (running(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let (runs, go) = (runs.clone(), go.clone());
                waiter(running.join(
                    1,
                    Priority::Request,
                    || None,
                    |_| async move {
                        go.notified().await;
                        runs.fetch_add(1, Ordering::SeqCst) + 7
                    },
                ))
            })
            .collect();
        assert_eq!(running.len(), 1);
        go.notify_one();
        for waiter in waiters {
            assert_eq!(waiter.outcome().await, Ok(7));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        tokio::task::yield_now().await;
        assert_eq!(running.len(), 0);
    }

    #[tokio::test]
    async fn k8_the_leader_going_away_harms_no_joiner() {
        let (running, go) = (running(), Arc::new(Notify::new()));
        let leader = {
            let go = go.clone();
            waiter(running.join(
                1,
                Priority::Request,
                || None,
                |_| async move {
                    go.notified().await;
                    5
                },
            ))
        };
        let joiner = waiter(running.join(
            1,
            Priority::Request,
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
        let running = running();
        let first = waiter(running.join(1, Priority::Request, || None, |_| async { panic!("scripted") }));
        let second = waiter(running.join(1, Priority::Request, || None, |_| async { 1 }));
        assert_eq!((first.outcome().await, second.outcome().await), (Err(FlightLost), Err(FlightLost)));
        assert_eq!(running.len(), 0);
        assert_eq!(
            waiter(running.join(1, Priority::Request, || None, |_| async { 2 })).outcome().await,
            Ok(2)
        );
    }

    #[tokio::test]
    async fn p1_a_flight_nobody_waits_for_can_be_given_up_and_followed_by_another() {
        let running = running();
        let given_up = Arc::new(Notify::new());
        let told = given_up.clone();
        let only = waiter(running.join(
            1,
            Priority::Request,
            || None,
            |waiters| async move {
                waiters.gone().await;
                told.notify_one();
                0
            },
        ));
        drop(only);
        given_up.notified().await;
        assert_eq!(
            waiter(running.join(1, Priority::Request, || None, |_| async { 3 })).outcome().await,
            Ok(3)
        );
    }

    #[tokio::test]
    async fn who_looked_before_a_landing_and_joins_after_it_finds_what_it_brought() {
        let running = running();
        let join = running.join(
            1,
            Priority::Request,
            || Some(9),
            |_| async { unreachable!("the outcome is there") },
        );
        assert!(matches!(join, Join::Ready(9)));
        assert_eq!(running.len(), 0);
    }

    #[tokio::test]
    async fn k7_flights_are_bounded() {
        let running = Arc::new(Numbers::new(1));
        let _seat = waiter(running.join(1, Priority::Request, || None, |_| std::future::pending()));
        assert!(matches!(
            running.join(2, Priority::Request, || None, |_| std::future::pending()),
            Join::Full
        ));
        assert!(matches!(
            running.join(1, Priority::Request, || None, |_| std::future::pending()),
            Join::Waiter(_, false)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn k8_a_request_takes_the_place_of_background_work_that_waits_and_joins_what_has_departed() {
        let (running, go) = (running(), Arc::new(Notify::new()));
        let background = |running: &Arc<Numbers>, starts: bool| {
            let go = go.clone();
            running.join(
                1,
                Priority::Background,
                || None,
                |waiters| {
                    let start = waiters.start();
                    async move {
                        if starts {
                            start.start(Instant::now());
                        }
                        go.notified().await;
                        1
                    }
                },
            )
        };
        drop(background(&running, false));
        tokio::task::yield_now().await;
        let request = waiter(running.join(1, Priority::Request, || None, |_| async { 2 }));
        assert_eq!(request.outcome().await, Ok(2));
        go.notify_one();
        tokio::task::yield_now().await;
        assert_eq!(running.len(), 0, "and the other one leaves nothing behind");

        drop(background(&running, true));
        tokio::task::yield_now().await;
        let request =
            waiter(running.join(1, Priority::Request, || None, |_| async { unreachable!("it started") }));
        go.notify_one();
        assert_eq!(request.outcome().await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn s6_the_time_of_whoever_joins_runs_from_the_departure() {
        let (running, second) = (running(), Duration::from_secs(1));
        let join = |waits: Duration, takes: Duration| {
            waiter(running.join(
                1,
                Priority::Request,
                || None,
                |waiters| {
                    let start = waiters.start();
                    async move {
                        tokio::time::sleep(waits).await;
                        start.start(Instant::now());
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
