//! The queue of sessions to end at Clerk (rule K10).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::session::{Kept, Session, SessionState};
use crate::client_token::ClientSlot;
use crate::sync::{lock, now_or_later};

/// The capacity of the queue. A session that doesn't fit expires at Clerk at the end of its own lifetime.
const QUEUE: usize = 10_000;

#[derive(Debug)]
pub(crate) struct EndRequest {
    pub(crate) session_id: Arc<str>,
    /// Empty if the client token isn't known. The Backend API doesn't need it.
    pub(crate) client: Arc<ClientSlot>,
    /// The records that this process has made of the session. It is ended only if none of them was renewed by another
    /// process, which then goes on with the session.
    pub(crate) records: Vec<Kept>,
}

impl EndRequest {
    pub(crate) fn of(session: &Session) -> Self {
        let (session_id, client) = (Arc::clone(&session.id), Arc::clone(&session.client));
        Self { session_id, client, records: Vec::new() }
    }

    /// A request for a session of which only the id is known.
    pub(crate) fn by_id(session_id: Arc<str>) -> Self {
        Self { session_id, client: Arc::new(ClientSlot::none()), records: Vec::new() }
    }
}

/// The queue of sessions to end. A push never waits, since the cache's eviction listener pushes, too.
#[derive(Debug)]
pub(crate) struct EndQueue {
    queue: mpsc::Sender<EndRequest>,
    waiting: Mutex<Option<mpsc::Receiver<EndRequest>>>,
    /// Sessions outlive their proofs in a store, so a live session isn't ended with its last proof.
    keeps_live: bool,
    /// Requests that were pushed and aren't done yet.
    outstanding: AtomicUsize,
    done: Notify,
    dropped: AtomicU64,
}

impl EndQueue {
    pub(crate) fn new(keeps_live: bool) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Arc::new(Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            keeps_live,
            outstanding: AtomicUsize::new(0),
            done: Notify::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// Queues the end of a session whose last proof has left. A live session that a store holds, or a login record with
    /// a live proof, is left for the next sign-in.
    pub(super) fn leave(&self, session: &Session) {
        match session.state() {
            SessionState::Live if self.keeps_live || session.is_kept(Instant::now()) => {}
            SessionState::Live => {
                session.advance(SessionState::Ending);
                self.push(EndRequest { records: session.records(), ..EndRequest::of(session) });
            }
            SessionState::Ending => self.push(EndRequest::of(session)),
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

    /// Queues the ends of sessions that a store is removing, when it has removed them. Until then they count as one request,
    /// so that a shutdown waits for them.
    pub(crate) fn push_later(
        self: &Arc<Self>,
        removed: impl Future<Output = Vec<EndRequest>> + Send + 'static,
    ) {
        let removal = Removal::new(Arc::clone(self));
        now_or_later(async move {
            removed.await.into_iter().for_each(|request| removal.0.push(request));
        });
    }

    /// Called once per request, when its session has been ended or given up.
    pub(crate) fn done(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.done.notify_waiters();
    }

    /// Waits until all requests are done.
    pub(crate) async fn all_done(&self) {
        loop {
            // Listen before the check, so that no notification is missed in between.
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

    /// Takes the receiver of the queue. Returns `None` for all callers after the first.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<EndRequest>> {
        lock(&self.waiting).take()
    }

    /// How many requests didn't fit into the queue.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Sessions that a store is removing. It counts until it is dropped, also where no runtime can wait for the store.
struct Removal(Arc<EndQueue>);

impl Removal {
    fn new(end_queue: Arc<EndQueue>) -> Self {
        end_queue.outstanding.fetch_add(1, Ordering::AcqRel);
        Self(end_queue)
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.0.done();
    }
}
