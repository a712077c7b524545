//! Sessions on their way out: everything that leaves the cache, for whatever reason, is handed on here to be ended at
//! Clerk (rule K10).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::live::LiveSession;
use crate::fapi::ClientSlot;
use crate::kept::StoredSession;
use crate::sync::lock;

/// Sessions that wait to be ended. What doesn't fit ends by itself at Clerk, after its own life.
const QUEUE: usize = 10_000;

/// A session on its way out: what it takes to end it.
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) session_id: Box<str>,
    /// Where it is known; the secret key does without.
    pub(crate) client: Arc<ClientSlot>,
}

impl Parting {
    pub(crate) fn of(live: &LiveSession) -> Self {
        Self { session_id: live.session_id.clone(), client: Arc::clone(&live.client) }
    }
}

impl Parting {
    /// A session that was kept for later, whose client nobody knows any more.
    pub(crate) fn kept(kept: &StoredSession) -> Self {
        Self::by_id(kept.session_id().into())
    }

    /// The same, where nothing else is known of it.
    pub(crate) fn by_id(session_id: Box<str>) -> Self {
        Self { session_id, client: Arc::new(ClientSlot::none()) }
    }
}

/// The door out.
#[derive(Debug)]
pub(crate) struct Leavers {
    queue: mpsc::Sender<Parting>,
    waiting: Mutex<Option<mpsc::Receiver<Parting>>>,
    /// Sessions outlive their entries: only those that are to be ended are.
    keeps: bool,
    /// Left and not done with.
    outstanding: AtomicUsize,
    done: Notify,
    dropped: AtomicU64,
}

impl Leavers {
    pub(crate) fn new(keeps: bool) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Arc::new(Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            keeps,
            outstanding: AtomicUsize::new(0),
            done: Notify::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// Hands a session on. Never waits, since it runs wherever the cache makes room.
    pub(crate) fn leave(&self, live: &LiveSession) {
        live.mark_over();
        if !live.is_gone() && (live.is_to_end() || !self.keeps) {
            self.part(Parting::of(live));
        }
    }

    /// Hands a session on to be ended, also where sessions are kept.
    pub(crate) fn end(&self, live: &LiveSession) {
        live.mark_to_end();
        self.leave(live);
    }

    /// The same for one that is known by its id alone.
    pub(crate) fn part(&self, parting: Parting) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(parting).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.done();
        }
    }

    /// One that left has been dealt with.
    pub(crate) fn done(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.done.notify_waiters();
    }

    /// Waits until all that left are dealt with.
    pub(crate) async fn all_done(&self) {
        loop {
            // Listening begins before the look, so that nothing is missed in between.
            let mut done = std::pin::pin!(self.done.notified());
            done.as_mut().enable();
            if self.outstanding() == 0 {
                return;
            }
            done.await;
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Somebody else sees to this one's end.
    pub(crate) fn taken_by_hand(&self, live: &LiveSession) {
        live.mark_gone();
    }

    /// The other side of the door; `None` for all but the first who asks.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<Parting>> {
        lock(&self.waiting).take()
    }

    /// How many did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
