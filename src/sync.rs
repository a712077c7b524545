//! Small synchronization helpers: a lock without poisoning, and a race of two futures.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks a mutex, ignoring poison: no critical section of this crate leaves a change half done.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The output of the future that completed first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Polls two futures until one completes, and drops the other. If both are ready, the first one wins.
///
/// This is a biased `tokio::select!` without the dependency on tokio's procedural macros.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(done) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(done));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}

/// Polls a future once, and spawns it if it is not ready: for callers that can't await. Without a runtime it is
/// dropped.
pub(crate) fn now_or_later(future: impl Future<Output = ()> + Send + 'static) {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    if future.as_mut().poll(&mut context).is_pending()
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn(future);
    }
}
