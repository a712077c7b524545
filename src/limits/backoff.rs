//! The pause after a 429 (rule P2): as long as `Retry-After` says, or a default for the kind of call.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// The length of Clerk's rate limit windows, and the pause after a 429 without `Retry-After`.
///
/// <https://clerk.com/docs/guides/how-clerk-works/system-limits>
pub(crate) const CLERK_WINDOW: Duration = Duration::from_secs(10);

/// The pause before the renewal of a token is retried. It is short, to renew the token while the old one is still good.
pub(crate) const RENEWAL_PAUSE: Duration = Duration::from_secs(2);

/// The kinds of calls. Clerk limits each separately, so each has its own pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    SignIn,
    /// `GET /v1/client`.
    LookUp,
    Mint,
    Backend,
    EndSession,
    /// The renewal of a token before it expires.
    Renewal,
}

impl CallKind {
    /// How long to make no further call of this kind. `retry_after` is the value of the `Retry-After` header, if any.
    pub(crate) fn pause(self, retry_after: Option<Duration>) -> Duration {
        retry_after.unwrap_or(match self {
            Self::SignIn | Self::LookUp | Self::Mint | Self::Backend | Self::EndSession => CLERK_WINDOW,
            Self::Renewal => RENEWAL_PAUSE,
        })
    }
}

/// The pause of one kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    kind: CallKind,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(kind: CallKind) -> Self {
        Self { kind, until: None }
    }

    /// Begins a pause, or extends the current one. Returns the pause that this answer alone asks for.
    pub(super) fn begin(&mut self, retry_after: Option<Duration>, now: Instant) -> Duration {
        let pause = self.kind.pause(retry_after);
        self.until = self.until.max(Some(now + pause));
        pause
    }

    /// How much of the pause is left, if there is one.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.end(now).map(|end| end - now)
    }

    /// When the pause ends, if there is one.
    pub(super) fn end(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

/// A [`Backoff`] that several tasks share.
#[derive(Debug)]
pub(crate) struct SharedBackoff(Mutex<Backoff>);

impl SharedBackoff {
    pub(crate) fn new(kind: CallKind) -> Self {
        Self(Mutex::new(Backoff::new(kind)))
    }

    /// Begins a pause, or extends the current one.
    pub(crate) fn begin(&self, retry_after: Option<Duration>, now: Instant) {
        lock(&self.0).begin(retry_after, now);
    }

    /// How much of the pause is left, if there is one.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        lock(&self.0).left(now)
    }

    /// When the next call may be made: now, if there is no pause.
    pub(crate) fn end(&self, now: Instant) -> Instant {
        lock(&self.0).end(now).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn p2_a_shorter_pause_never_shortens_a_longer_one() {
        let (backoff, now) = (SharedBackoff::new(CallKind::Mint), Instant::now());
        assert_eq!((backoff.left(now), backoff.end(now)), (None, now));
        backoff.begin(Some(60 * SECOND), now);
        backoff.begin(Some(SECOND), now);
        assert_eq!((backoff.left(now), backoff.end(now)), (Some(60 * SECOND), now + 60 * SECOND));
        let later = now + 60 * SECOND;
        assert_eq!((backoff.left(later), backoff.end(later)), (None, later));
    }

    #[tokio::test(start_paused = true)]
    async fn p2_a_429_without_retry_after_pauses_for_clerks_window() {
        use CallKind::{Backend, EndSession, LookUp, Mint, Renewal, SignIn};

        for kind in [SignIn, LookUp, Mint, Backend, EndSession] {
            let (mut backoff, now) = (Backoff::new(kind), Instant::now());
            assert_eq!(backoff.begin(None, now), 10 * SECOND, "{kind:?}");
            assert_eq!(backoff.left(now), Some(10 * SECOND), "{kind:?}");
            assert_eq!(backoff.begin(Some(SECOND), now), SECOND, "{kind:?}");
        }
        assert_eq!(Renewal.pause(None), 2 * SECOND);
        assert_eq!(Renewal.pause(Some(7 * SECOND)), 7 * SECOND);
    }
}
