//! The part in which rate limits differ.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;

/// A request in the queue, and its permit later on. Ids are never used twice.
pub(crate) type RequestId = u64;

/// The state of one rate limit: which requests wait, which one starts next, and when.
///
/// A [`Limiter`](super::limiter::Limiter) calls these methods under its lock. They decide and do nothing else: no task is
/// started, no channel is used, and no value of a caller is dropped in them.
pub(crate) trait Policy: Debug + Send + 'static {
    /// A caller's description of the call that it wants to make.
    type Request: Copy + Send;

    /// Puts a request into the queue. Returns the request that has to leave a full queue for it.
    ///
    /// # Errors
    ///
    /// The earliest time at which it could start, if that is too late or the queue is full.
    fn join(
        &mut self,
        id: RequestId,
        request: Self::Request,
        now: Instant,
    ) -> Result<Option<RequestId>, Instant>;

    /// Removes a request from the queue; one that isn't there changes nothing.
    fn leave(&mut self, id: RequestId);

    /// Removes all requests from the queue.
    fn clear(&mut self);

    /// Takes the next request that may start now out of the queue. From here on its permit counts.
    fn next(&mut self, now: Instant) -> Option<RequestId>;

    /// When something changes without a call to any of these methods. `None`: never.
    fn next_change(&self, now: Instant) -> Option<Instant>;

    /// Takes a permit back. `started`: its call was made, or may have been.
    fn put_back(&mut self, id: RequestId, started: bool, now: Instant);

    /// How long this request waits at most.
    fn patience(&self, request: Self::Request) -> Duration;

    /// When a request that has waited in vain should come back.
    fn next_chance(&self, request: Self::Request, now: Instant) -> Instant;

    /// The pause after a 429.
    fn backoff(&mut self) -> &mut Backoff;

    /// Whether that pause is too long to wait for its end in the queue.
    fn is_paused(&self, now: Instant) -> bool;
}
