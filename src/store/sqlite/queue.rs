//! The writes that have not reached the file yet, in order.
//!
//! A record that a removal takes is absent from the call on, although the file still has it: otherwise a request that begins
//! after a revocation could find a revoked session.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::records::{If, Row, Targets};
use crate::sync::lock;

/// How many writes that may be lost wait at once.
const MOST_PUTS: usize = 1024;

/// How many removals wait at once. With one more, everything is removed (as rule K9 does with its tombstones).
const MOST_TAKES: usize = 10_000;

/// A write that waits for longer is given up. A removal is not.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) enum Op {
    Put(Row, If),
    Take(Targets),
    /// A sign-in has departed at this time, which is Clerk's if Clerk has told it.
    Departed {
        at: u64,
        is_told: bool,
    },
    /// Nothing: tells when all writes before it are done.
    Flush,
}

impl Op {
    /// Whether it must not be lost.
    pub(super) fn must_be_done(&self) -> bool {
        matches!(self, Self::Take(_))
    }
}

/// The result of a write.
pub(super) enum Done {
    /// Whether a record was written.
    Written(bool),
    Taken(Vec<Row>),
    Nothing,
}

type Report = Box<dyn FnOnce(Done) + Send>;

struct Job {
    number: u64,
    op: Arc<Op>,
    report: Report,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Number of jobs that were ever queued.
    queued: u64,
    /// Removals in `jobs`.
    takes: usize,
    /// Removals that are done.
    taken: u64,
    /// The last job whose result was reported.
    #[cfg(any(test, feature = "testing"))]
    reported: u64,
    /// The last attempt to write failed.
    failing: bool,
    closed: bool,
}

impl Queue {
    /// Queues a write, and returns its number. `report` is called with its result, on the writer's thread.
    pub(super) fn push(&self, op: Op, report: impl FnOnce(Done) + Send + 'static) -> u64 {
        let (mut state, mut op) = (lock(&self.state), op);
        if op.must_be_done() {
            if state.takes >= MOST_TAKES {
                op = Op::Take(Targets::All);
                // Those before it are a part of it. The sessions that they took are told to no caller.
                state.jobs.clear();
                state.takes = 0;
            }
            state.takes += 1;
        } else if state.jobs.len() - state.takes >= MOST_PUTS && !matches!(op, Op::Flush) {
            drop(state);
            report(Done::Nothing);
            return 0;
        }
        state.queued += 1;
        let number = state.queued;
        state.jobs.push_back(Job {
            number,
            op: Arc::new(op),
            report: Box::new(report),
            since: Instant::now(),
        });
        self.changed.notify_all();
        number
    }

    /// Lets the writer stop when everything is written.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Number of removals that wait because the file refuses writes.
    pub(super) fn unwritten(&self) -> usize {
        let state = lock(&self.state);
        if state.failing { state.takes } else { 0 }
    }

    /// Waits for writes, and returns the first ones, at most `most`. They stay queued until [`done`](Self::done), so
    /// that readers know of them. `None` when the queue is closed and empty.
    pub(super) fn next(&self, most: usize) -> Option<Vec<(u64, Arc<Op>)>> {
        let state = lock(&self.state);
        let waits = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        let mut next = Vec::new();
        for job in state.jobs.iter().take(most) {
            next.push((job.number, Arc::clone(&job.op)));
        }
        (!next.is_empty()).then_some(next)
    }

    /// Reports results, in the order of the writes that they are of: the file takes writes.
    pub(super) fn done(&self, results: impl IntoIterator<Item = (u64, Done)>) {
        lock(&self.state).failing = false;
        self.report(results);
    }

    /// Gives up the first write, which may be lost.
    pub(super) fn lost(&self, number: u64) {
        self.report([(number, Done::Nothing)]);
    }

    fn report(&self, results: impl IntoIterator<Item = (u64, Done)>) {
        let (mut reports, mut last) = (Vec::new(), 0);
        let mut state = lock(&self.state);
        for (number, done) in results {
            last = number;
            // It may be gone, because a later removal of everything has replaced it.
            if state.jobs.front().is_none_or(|first| first.number != number) {
                continue;
            }
            let Some(job) = state.jobs.pop_front() else { break };
            if job.op.must_be_done() {
                state.takes -= 1;
                state.taken += 1;
            }
            reports.push((job.report, done));
        }
        drop(state);
        self.changed.notify_all();
        for (report, done) in reports {
            report(done);
        }
        self.note_reported(last);
    }

    #[cfg(any(test, feature = "testing"))]
    fn note_reported(&self, number: u64) {
        lock(&self.state).reported = number;
        self.changed.notify_all();
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "only tests wait for a report on a thread")]
    fn note_reported(&self, _: u64) {}

    /// Waits until the result of a write is reported, or the file refuses writes.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn wait_for(&self, number: u64) {
        let waits = |state: &mut State| state.reported < number && !state.failing;
        drop(self.changed.wait_timeout_while(lock(&self.state), PATIENCE, waits));
    }

    /// Notes that the file refuses writes, and gives up those that may be lost and have waited for long. Returns how many
    /// they are.
    pub(super) fn failed(&self) -> usize {
        let mut state = lock(&self.state);
        state.failing = true;
        let has_patience = |job: &Job| job.op.must_be_done() || job.since.elapsed() < PATIENCE;
        let (kept, given_up): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut state.jobs).into_iter().partition(has_patience);
        state.jobs = kept;
        drop(state);
        self.changed.notify_all();
        let count = given_up.len();
        given_up.into_iter().for_each(|job| (job.report)(Done::Nothing));
        count
    }

    /// Waits until the writes of some records are done that were queued before. Returns whether they are, `within` this
    /// time.
    pub(super) fn settled(&self, within: Duration, of: impl Fn(&Row) -> bool) -> bool {
        let state = lock(&self.state);
        let is_of_it = |job: &&Job| matches!(&*job.op, Op::Put(row, _) if of(row));
        let Some(last) = state.jobs.iter().rev().find(is_of_it).map(|job| job.number) else { return true };
        let waits = |state: &mut State| state.jobs.front().is_some_and(|first| first.number <= last);
        let waited = self.changed.wait_timeout_while(state, within, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Number of removals that are done. If it changes during a read, what was read may have been removed.
    pub(super) fn taken(&self) -> u64 {
        lock(&self.state).taken
    }

    /// Whether a removal that has not reached the file takes this record.
    pub(super) fn takes(&self, row: &Row) -> bool {
        let state = lock(&self.state);
        state.takes > 0
            && state
                .jobs
                .iter()
                .any(|job| matches!(&*job.op, Op::Take(targets) if targets.include(row.name, &row.header)))
    }
}
