//! Ends sessions at Clerk, in the background and at a bounded rate (rule K10). A session whose end fails expires there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::login_records::LoginRecords;
use crate::clerk_api::{ErrorClass, TimeLeft};
use crate::clock::Clock;
use crate::limits::{CallKind, SharedBackoff};
use crate::provider::Provider;
use crate::sessions::{EndQueue, EndRequest};
use crate::sync::lock;

/// Concurrent calls.
const MAX_CALLS: usize = 8;

/// The time between the starts of two calls, for at most 50 calls a second. Clerk publishes no limit for this call:
/// <https://clerk.com/docs/guides/how-clerk-works/system-limits>.
const SPACING: Duration = Duration::from_millis(20);

/// Concurrent calls during a shutdown, which has a deadline.
const MAX_SHUTDOWN_CALLS: usize = 32;

/// Works through the end queue of an engine.
pub(crate) struct SessionReaper {
    provider: Arc<Provider>,
    records: Arc<LoginRecords>,
    end_queue: Arc<EndQueue>,
    clock: Clock,
    timeout: Duration,
    backoff: SharedBackoff,
}

impl SessionReaper {
    pub(crate) fn new(
        provider: Arc<Provider>,
        records: Arc<LoginRecords>,
        end_queue: Arc<EndQueue>,
        clock: Clock,
        timeout: Duration,
    ) -> Arc<Self> {
        let backoff = SharedBackoff::new(CallKind::EndSession);
        Arc::new(Self { provider, records, end_queue, clock, timeout, backoff })
    }

    /// Starts the background task, unless it has started. The task ends with the engine; sessions that are still queued
    /// then expire at Clerk.
    pub(crate) fn start(self: &Arc<Self>) {
        let Some(queue) = self.end_queue.take() else { return };
        tokio::spawn(Arc::clone(self).run(queue));
    }

    async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<EndRequest>) {
        let permits = Arc::new(Semaphore::new(MAX_CALLS));
        let reaper = Arc::downgrade(&self);
        drop(self);
        let mut next = Instant::now();
        while let Some(request) = queue.recv().await {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let Some(reaper) = reaper.upgrade() else { return };
            tokio::time::sleep_until(next.max(reaper.backoff.end(reaper.clock.now()))).await;
            next = reaper.clock.now() + SPACING;
            tokio::spawn(async move {
                // Twice the timeout, because a call to the Backend API may first wait for a permit.
                _ = reaper.end(&request, reaper.clock.now() + 2 * reaper.timeout).await;
                reaper.end_queue.done();
                drop(permit);
            });
        }
    }

    /// Ends these sessions, and waits for the end queue, until the deadline. Returns how many of these sessions are
    /// left.
    pub(crate) async fn end_all(self: &Arc<Self>, sessions: Vec<EndRequest>, deadline: Instant) -> usize {
        self.start();
        let (all, ended) = (sessions.len(), Arc::new(AtomicUsize::new(0)));
        let rest = Arc::new(Mutex::new(sessions));
        let workers: Vec<_> = (0..MAX_SHUTDOWN_CALLS.min(all))
            .map(|_| {
                let (reaper, rest, ended) = (Arc::clone(self), Arc::clone(&rest), Arc::clone(&ended));
                tokio::spawn(async move {
                    let next = || lock(&rest).pop();
                    while reaper.clock.now() < deadline
                        && let Some(request) = next()
                    {
                        let pause_end = reaper.backoff.end(reaper.clock.now());
                        tokio::time::sleep_until(pause_end.min(deadline)).await;
                        if reaper.end(&request, deadline).await {
                            ended.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            _ = tokio::time::timeout_at(deadline, worker).await;
        }
        _ = tokio::time::timeout_at(deadline, self.end_queue.all_done()).await;
        all - ended.load(Ordering::Relaxed)
    }

    /// Ends a session, and returns whether Clerk has confirmed it, or another process goes on with it.
    async fn end(&self, request: &EndRequest, deadline: Instant) -> bool {
        if self.records.is_continued(&request.session_id, &request.records).await {
            return true;
        }
        let time = TimeLeft::new(self.timeout, self.clock);
        let ended = tokio::time::timeout_at(deadline, self.provider.end(request, time)).await;
        let code = match ended {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                if matches!(error.class, ErrorClass::RateLimited | ErrorClass::NoPermit) {
                    self.backoff.begin(error.retry_after, self.clock.now());
                }
                error.code
            }
            Err(_) => Some("timeout".into()),
        };
        tracing::debug!(
            session_id = &*request.session_id,
            code = code.as_deref(),
            "a session was not ended at Clerk"
        );
        false
    }
}
