//! Samples of an engine's statistics while its users send requests.

use std::time::Duration;

use tokio::time::Instant;
use tower_clerk::Clerk;
use tower_clerk::stats::{CircuitState, Outcome, Stats};

use super::SECOND;
use super::users::Seen;

/// The sum or maximum of samples, taken once a second.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) sign_in_circuit_open: u32,
    pub(super) mint_circuit_open: u32,
    most_mints: usize,
}

impl Watched {
    pub(super) fn add(&mut self, other: Self) {
        self.sign_in_circuit_open += other.sign_in_circuit_open;
        self.mint_circuit_open += other.mint_circuit_open;
        self.most_mints = self.most_mints.max(other.most_mints);
    }
}

/// Samples the engine once a second for `time`.
pub(super) async fn watch(clerk: &Clerk, time: Duration) -> Watched {
    let (end, mut watched) = (Instant::now() + time, Watched::default());
    while Instant::now() < end {
        tokio::time::sleep(SECOND.min(end - Instant::now())).await;
        let stats = clerk.stats();
        watched.sign_in_circuit_open += u32::from(stats.sign_in_circuit == CircuitState::Open);
        watched.mint_circuit_open += u32::from(stats.mint_circuit == CircuitState::Open);
        watched.most_mints = watched.most_mints.max(stats.mint_flights);
    }
    watched
}

/// Formats what the users saw and the engine counted.
pub(super) fn line(seen: &Seen, stats: &Stats, watched: &Watched) -> String {
    let warm = seen.warm();
    let since = |outcome| stats.count(outcome) - warm.as_ref().map_or(0, |(_, then)| then.count(outcome));
    let total = stats.total() - warm.as_ref().map_or(0, |(_, then)| then.total());
    let (early, late) = (seen.early(), seen.late());
    let mut waits = late.waits.clone();
    waits.sort_unstable();
    let part = |part: f64| {
        let at = (waits.len() as f64 * part) as usize;
        waits.get(at.min(waits.len().saturating_sub(1))).map_or(0, Duration::as_millis)
    };
    format!(
        "{} requests, all {} users let in after {:.0} s ({} times 503 on the way {:?}, the longest Retry-After {} s; of those \
         who were in already {} waited and {} were refused {:?}); since then {total} requests ({:.2} % hits), {} waited for \
         a mint (p50 {} ms, p99 {} ms, at most {} ms), {} for a sign-in, {} were refused {:?}; circuits open for {} s and {} s, \
         {} mints at a time at most",
        seen.requests(),
        seen.first(),
        seen.warm_at().map_or(f64::NAN, |at| (at - seen.began()).as_secs_f64()),
        seen.early_rejections(),
        seen.early_rejections_by_code(),
        seen.longest_retry_after().as_secs(),
        early.waits.len(),
        early.refused.values().sum::<u64>(),
        early.refused,
        100.0 * since(Outcome::Hit) as f64 / total.max(1) as f64,
        waits.len(),
        part(0.5),
        part(0.99),
        part(1.0),
        since(Outcome::SignedIn) + since(Outcome::Joined),
        late.refused.values().sum::<u64>(),
        late.refused,
        watched.sign_in_circuit_open,
        watched.mint_circuit_open,
        watched.most_mints,
    )
}
