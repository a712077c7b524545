//! Single flight: one task per key at a time, whose outcome all callers share (rule K8).
//!
//! A caller that is dropped neither cancels the work nor makes another caller repeat it. moka's own `get_with` runs the
//! work in its first caller instead: it starts over when that caller is dropped, and panics after 200 such callers in a
//! row. If the work panics, all waiters get [`FlightLost`], and the next caller starts a new flight.

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

type InFlight<K, V, S> = HashMap<K, Arc<Flight<V>>, S>;

#[derive(Debug)]
struct Flight<V> {
    progress: watch::Sender<Progress<V>>,
    priority: Priority,
}

#[derive(Clone, Debug)]
enum Progress<V> {
    /// The flight waits for its permit, if it needs one.
    Waiting,
    /// The call to Clerk started at this instant.
    Started(Instant),
    Done(V),
}

/// Why a flight was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A request waits for it.
    Request,
    /// It prepares for later requests, and may wait long for its permit. A request doesn't wait for it to start, but
    /// replaces it (rule K8).
    Background,
}

/// The flight ended without an outcome: its task panicked, or its runtime was shut down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FlightLost;

/// The result of [`SingleFlight::join`].
#[derive(Debug)]
pub(crate) enum Join<V> {
    /// A waiter for a flight, and whether this caller started the flight.
    Waiter(Waiter<V>, bool),
    /// The outcome was available already.
    Ready(V),
    /// There is no room for another flight.
    Full,
}

/// A caller's handle to the outcome of a flight.
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

    /// Waits for the flight to start until `start_by`, and then for its outcome for `time` from that start. Returns
    /// `None` if either wait times out.
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

/// Tells the waiters that their flight starts.
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

    /// Joins the key's flight, or starts one that runs `run`.
    ///
    /// If there is no flight to join, `already` is called under the lock. It must return the outcome of a flight that
    /// finished after this caller last looked, or the caller would start the same work again. For this to work, a
    /// flight stores its outcome before it finishes.
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
            // Leave the map first, so that a waiter that gets this outcome and joins again doesn't join the same
            // flight.
            let flight = Arc::clone(&finish.0.flight);
            drop(finish);
            flight.progress.send_replace(Progress::Done(outcome));
        });
        Join::Waiter(Waiter(receiver), true)
    }

    /// Waits until no flight is under way.
    pub(crate) async fn all_finished(&self) {
        loop {
            // Listen before the check, so that no finish is missed in between.
            let mut finished = pin!(self.finished.notified());
            finished.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            finished.await;
        }
    }

    /// How many flights are under way.
    pub(crate) fn len(&self) -> usize {
        lock(&self.in_flight).len()
    }
}

/// The waiters of a flight, as its own work sees them.
pub(crate) struct Waiters<K: Hash + Eq, V, S: BuildHasher> {
    running: Arc<SingleFlight<K, V, S>>,
    key: K,
    flight: Arc<Flight<V>>,
}

impl<K: Hash + Eq, V, S: BuildHasher> Waiters<K, V, S> {
    pub(crate) fn start(&self) -> Start<V> {
        Start(Arc::clone(&self.flight))
    }

    /// Waits until the flight has no waiters, and then removes it from the map, so that no caller can join it. The work
    /// must stop after that.
    pub(crate) async fn gone(&self) {
        loop {
            self.flight.progress.closed().await;
            let mut in_flight = lock(&self.running.in_flight);
            // A caller may have joined since. Joining happens under this lock.
            if self.flight.progress.receiver_count() == 0 {
                self.leave(&mut in_flight);
                return;
            }
        }
    }

    fn leave(&self, in_flight: &mut InFlight<K, V, S>) {
        // The key may have a newer flight, if this one was given up or replaced.
        if in_flight.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            in_flight.remove(&self.key);
            self.running.finished.notify_waiters();
        }
    }
}

/// Removes the flight from the map when its task ends, even by a panic.
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
    async fn k8_the_first_caller_can_be_dropped_without_harm_to_the_others() {
        let (running, go) = (running(), Arc::new(Notify::new()));
        let first = {
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
        drop(first);
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(joiner.outcome().await, Ok(5));
    }

    #[tokio::test]
    async fn k8_after_a_panic_all_waiters_get_an_error_and_the_next_caller_starts_anew() {
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
    async fn p1_a_flight_without_waiters_can_be_given_up_and_followed_by_another() {
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
    async fn a_caller_that_joins_after_a_flight_has_finished_finds_its_outcome() {
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
        let _waiter = waiter(running.join(1, Priority::Request, || None, |_| std::future::pending()));
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
    async fn k8_a_request_replaces_background_work_that_waits_and_joins_work_that_has_started() {
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
        assert_eq!(running.len(), 0, "the replaced flight leaves nothing behind");

        drop(background(&running, true));
        tokio::task::yield_now().await;
        let request =
            waiter(running.join(1, Priority::Request, || None, |_| async { unreachable!("it started") }));
        go.notify_one();
        assert_eq!(request.outcome().await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn s6_the_time_limit_of_a_waiter_runs_from_the_start_of_the_flight() {
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
