//! Counts calls to Clerk and the time they take, by operation and result.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::operation::{CallResult, Operation};

#[derive(Debug, Default)]
pub(crate) struct Calls([[Call; CallResult::ALL.len()]; Operation::ALL.len()]);

#[derive(Debug, Default)]
struct Call {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Calls {
    pub(crate) fn count(&self, operation: Operation, result: CallResult, took: Duration) {
        let call = &self.0[operation as usize][result as usize];
        call.count.fetch_add(1, Ordering::Relaxed);
        call.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        record(operation, result, took);
    }

    pub(crate) fn all(&self) -> Box<[UpstreamCalls]> {
        let cells = Operation::ALL
            .iter()
            .flat_map(|operation| CallResult::ALL.iter().map(move |result| (operation, result)));
        cells
            .map(|(operation, result)| {
                let call = &self.0[*operation as usize][*result as usize];
                UpstreamCalls {
                    operation: operation.name(),
                    result: result.name(),
                    count: call.count.load(Ordering::Relaxed),
                    time: Duration::from_nanos(call.nanos.load(Ordering::Relaxed)),
                }
            })
            .collect()
    }
}

/// The calls to Clerk of one operation with one result.
///
/// [`Stats::upstream`](crate::stats::Stats::upstream) has an entry for each pair of operation and result, also for
/// pairs that have not occurred. With the feature `metrics`, each call is also recorded in the histogram
/// `tower_clerk_upstream_seconds`, labelled with `operation` and `result`.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::stats::UpstreamCalls;
///
/// fn mean_latency(calls: &UpstreamCalls) -> Option<Duration> {
///     calls.time.checked_div(u32::try_from(calls.count).ok()?)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamCalls {
    /// The operation.
    ///
    /// Frontend API: `sign_in`, `ticket_sign_in`, `prepare_second_factor`, `attempt_second_factor`, `client`, `token`,
    /// `template_token`, `touch`, `session`, `end`, `environment`, `jwks`.
    ///
    /// Backend API: `find_user`, `user`, `verify_password`, `memberships`, `ticket`, `backend_token`,
    /// `backend_template_token`, `backend_session`, `revoke`, `backend_jwks`, `organization`, `verify_api_key`.
    pub operation: &'static str,
    /// The result: `ok`, `refused` (Clerk answered with an error about the call), `rate_limited` (Clerk's quota is
    /// spent) or `failed` (no answer, or an unusable one).
    pub result: &'static str,
    /// The number of calls.
    pub count: u64,
    /// The total time that the calls took.
    pub time: Duration,
}

/// Reports one call to the `metrics` recorder of the program.
#[cfg(feature = "metrics")]
fn record(operation: Operation, result: CallResult, took: Duration) {
    let labels = [("operation", operation.name()), ("result", result.name())];
    metrics::histogram!("tower_clerk_upstream_seconds", &labels).record(took);
}
