//! Ends sessions at Clerk in the background, at a bounded rate, as far as it can be done (rule K10).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::clerk_api::{ErrorClass, TimeLeft};
use crate::clock::Clock;
use crate::limits::{CallKind, SharedBackoff};
use crate::provider::Provider;
use crate::sessions::{EndQueue, EndRequest};
use crate::sync::lock;

/// Calls at a time.
const AT_A_TIME: usize = 8;

/// Between the beginnings of two of them: at most 50 a second. Clerk publishes no limit for this call.
const SPACING: Duration = Duration::from_millis(20);

/// Calls at a time when the engine is shut down, and there is a deadline.
const AT_A_TIME_IN_A_HURRY: usize = 32;

/// Ends what leaves.
pub(crate) struct SessionReaper {
    provider: Arc<Provider>,
    end_queue: Arc<EndQueue>,
    clock: Clock,
    timeout: Duration,
    backoff: SharedBackoff,
}

impl SessionReaper {
    pub(crate) fn new(
        provider: Arc<Provider>,
        end_queue: Arc<EndQueue>,
        clock: Clock,
        timeout: Duration,
    ) -> Arc<Self> {
        let backoff = SharedBackoff::new(CallKind::EndSession);
        Arc::new(Self { provider, end_queue, clock, timeout, backoff })
    }

    /// Starts the background work, once. It ends with the engine; what waits then is left to Clerk.
    pub(crate) fn start(self: &Arc<Self>) {
        let Some(queue) = self.end_queue.take() else { return };
        tokio::spawn(Arc::clone(self).run(queue));
    }

    async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<EndRequest>) {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let reaper = Arc::downgrade(&self);
        drop(self);
        let mut next = Instant::now();
        while let Some(request) = queue.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(reaper) = reaper.upgrade() else { return };
            tokio::time::sleep_until(next.max(reaper.backoff.end(reaper.clock.now()))).await;
            next = reaper.clock.now() + SPACING;
            tokio::spawn(async move {
                // Its turn may be a while in coming.
                _ = reaper.end(&request, reaper.clock.now() + 2 * reaper.timeout).await;
                reaper.end_queue.done();
                drop(place);
            });
        }
    }

    /// Ends these now, and waits for those on their way out, until the deadline. Returns how many of these are left.
    pub(crate) async fn end_all(self: &Arc<Self>, sessions: Vec<EndRequest>, deadline: Instant) -> usize {
        self.start();
        let (all, ended) = (sessions.len(), Arc::new(AtomicUsize::new(0)));
        let rest = Arc::new(Mutex::new(sessions));
        let workers: Vec<_> = (0..AT_A_TIME_IN_A_HURRY.min(all))
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

    /// Whether it is over at Clerk now.
    async fn end(&self, request: &EndRequest, deadline: Instant) -> bool {
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
