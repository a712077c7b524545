//! Calls to Clerk: how many, how they ended, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::operation::{CallResult, Operation};

/// Counts calls to Clerk.
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

/// Calls to Clerk of one kind with one result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamCalls {
    /// The kind of the call: of the Frontend API `sign_in`, `ticket_sign_in`, `prepare_second_factor`,
    /// `attempt_second_factor`, `client`, `token`, `template_token`, `touch`, `session`, `end`, `environment`, `jwks`;
    /// of the Backend API `find_user`, `user`, `verify_password`, `memberships`, `ticket`, `backend_token`,
    /// `backend_template_token`, `backend_session`, `revoke`, `backend_jwks`.
    pub operation: &'static str,
    /// Its answer: `ok`, `refused`, `rate_limited`, `failed`.
    pub result: &'static str,
    /// How many.
    pub count: u64,
    /// How long they took together.
    pub time: Duration,
}

/// One call to Clerk, for the program's `metrics` recorder.
#[cfg(feature = "metrics")]
fn record(operation: Operation, result: CallResult, took: Duration) {
    let labels = [("operation", operation.name()), ("result", result.name())];
    metrics::histogram!("tower_clerk_upstream_seconds", &labels).record(took);
}
