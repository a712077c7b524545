//! A gate that lets one caller through when its time has come, checked without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

const CLOSED: u64 = u64::MAX;

/// Opens at a set time, lets one caller through, and then stays closed until it is opened again.
#[derive(Debug)]
pub(crate) struct OnceGate {
    made: Instant,
    /// In nanoseconds after `made`, or `CLOSED`.
    opens: AtomicU64,
}

impl OnceGate {
    /// A gate that opens then. With `None` it stays closed until [`open_at`](Self::open_at).
    pub(crate) fn new(opens: Option<Instant>) -> Self {
        let once_gate = Self { made: Instant::now(), opens: AtomicU64::new(CLOSED) };
        if let Some(opens) = opens {
            once_gate.open_at(opens);
        }
        once_gate
    }

    /// Whether a caller could pass now. A relaxed load, for the hot path.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let opens = self.opens.load(Ordering::Relaxed);
        opens != CLOSED && now.saturating_duration_since(self.made) >= Duration::from_nanos(opens)
    }

    /// When it opens, unless it is closed until it is opened again.
    pub(super) fn opens(&self) -> Option<Instant> {
        match self.opens.load(Ordering::Relaxed) {
            CLOSED => None,
            opens => self.made.checked_add(Duration::from_nanos(opens)),
        }
    }

    /// Passes the gate. Returns true for exactly one of all callers that try.
    pub(crate) fn pass(&self, now: Instant) -> bool {
        let opens = self.opens.load(Ordering::Relaxed);
        self.is_open(now)
            && self.opens.compare_exchange(opens, CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether it is set to open later.
    pub(crate) fn is_waiting(&self, now: Instant) -> bool {
        self.opens.load(Ordering::Relaxed) != CLOSED && !self.is_open(now)
    }

    pub(crate) fn open_at(&self, at: Instant) {
        let after = at.saturating_duration_since(self.made).as_nanos();
        self.opens.store(u64::try_from(after).unwrap_or(CLOSED - 1), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_on_time_for_one_caller() {
        let second = Duration::from_secs(1);
        let once_gate = OnceGate::new(Some(Instant::now() + second));
        assert!(!once_gate.pass(Instant::now()));
        tokio::time::advance(second).await;
        assert_eq!((0..10).filter(|_| once_gate.pass(Instant::now())).count(), 1);
        once_gate.open_at(Instant::now() + second);
        assert!(!once_gate.is_open(Instant::now()));
        tokio::time::advance(second).await;
        assert!(once_gate.is_open(Instant::now()) && once_gate.pass(Instant::now()));
    }
}
