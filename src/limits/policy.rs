//! The interface between the limiter and the rules of one rate limit.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;

/// Identifies a request in the queue, and later its permit. Ids are never reused.
pub(crate) type RequestId = u64;

/// The state of one rate limit: which requests wait, which one starts next, and when.
///
/// A [`Limiter`](super::limiter::Limiter) calls these methods under its lock, so they must have no side effects: they
/// must not spawn a task, use a channel or drop a value of a caller.
pub(crate) trait Policy: Debug + Send + 'static {
    /// A caller's description of the call that it wants to make.
    type Request: Copy + Send;

    /// Adds a request to the queue. Returns the request that was removed to make room for it, if any.
    ///
    /// # Errors
    ///
    /// Returns the earliest time at which the request could start, if that is too late or the queue is full.
    fn join(
        &mut self,
        id: RequestId,
        request: Self::Request,
        now: Instant,
    ) -> Result<Option<RequestId>, Instant>;

    /// Removes a request from the queue, if it is there.
    fn leave(&mut self, id: RequestId);

    /// Removes all requests from the queue.
    fn clear(&mut self);

    /// Removes the next request that may start now from the queue, and counts its permit as used.
    fn next(&mut self, now: Instant) -> Option<RequestId>;

    /// When the state next changes by itself, as time passes. `None` if it doesn't.
    fn next_change(&self, now: Instant) -> Option<Instant>;

    /// Takes a permit back. `started` tells whether its call was made, or may have been made.
    fn put_back(&mut self, id: RequestId, started: bool, now: Instant);

    /// The longest time that this request may wait.
    fn patience(&self, request: Self::Request) -> Duration;

    /// When a request whose wait timed out should retry.
    fn next_chance(&self, request: Self::Request, now: Instant) -> Instant;

    /// The pause after a 429.
    fn backoff(&mut self) -> &mut Backoff;

    /// Whether there is such a pause, and it is too long to wait for its end in the queue.
    fn is_paused(&self, now: Instant) -> bool;
}
