//! Sessions that are to be ended at Clerk (rule K10).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::session::{Session, SessionState};
use crate::client_token::ClientSlot;
use crate::sync::lock;

/// Sessions that wait to be ended. What doesn't fit ends by itself at Clerk, after its own life.
const QUEUE: usize = 10_000;

/// What it takes to end a session.
#[derive(Debug)]
pub(crate) struct EndRequest {
    pub(crate) session_id: Arc<str>,
    /// Where it is known; the secret key does without.
    pub(crate) client: Arc<ClientSlot>,
}

impl EndRequest {
    pub(crate) fn of(session: &Session) -> Self {
        Self { session_id: Arc::clone(&session.id), client: Arc::clone(&session.client) }
    }

    /// A session of which nothing but the id is known.
    pub(crate) fn by_id(session_id: Arc<str>) -> Self {
        Self { session_id, client: Arc::new(ClientSlot::none()) }
    }
}

/// The queue of sessions to end. It never waits, since sessions leave wherever the cache makes room.
#[derive(Debug)]
pub(crate) struct EndQueue {
    queue: mpsc::Sender<EndRequest>,
    waiting: Mutex<Option<mpsc::Receiver<EndRequest>>>,
    /// Sessions outlive their entries: only those that are to be ended are.
    keeps: bool,
    /// Left and not done with.
    outstanding: AtomicUsize,
    done: Notify,
    dropped: AtomicU64,
}

impl EndQueue {
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

    /// The last proof of a session has left. Where sessions outlive their proofs, only one that is to be ended is.
    pub(super) fn leave(&self, session: &Session) {
        match session.state() {
            SessionState::Live if self.keeps => {}
            SessionState::Live | SessionState::Ending => {
                session.advance(SessionState::Ending);
                self.push(EndRequest::of(session));
            }
            SessionState::EndedElsewhere | SessionState::Gone => {}
        }
    }

    pub(crate) fn push(&self, request: EndRequest) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(request).is_err() {
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

    /// The queue's other end; `None` for all but the first caller.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<EndRequest>> {
        lock(&self.waiting).take()
    }

    /// How many did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
