//! The rate limit of sign-ins: which sign-in may start next, and when (rules P1, P2, K8, K13).
//!
//! Clerk allows one IP address five sign-ins in ten seconds
//! (<https://clerk.com/docs/guides/how-clerk-works/system-limits>). A permit is taken when a sign-in starts, and comes
//! back one window after its answer. So every window, wherever Clerk begins to count, holds at most the allowed number.
//! A token bucket would let a full bucket and its refill through in one window, and cause a 429.
//!
//! The budget has two shares. Trusted credentials, which Clerk has accepted before, go first, and most of the budget is
//! reserved for them as soon as there are any. The rest is for all other credentials, round-robin between sources and,
//! within a source, between identifiers. A sign-in that succeeds counts towards the trusted share from then on, so a
//! cold start with correct passwords runs at the full budget, and a flood of wrong passwords at the rest of it.

mod fair_queue;
mod forecast;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::fair_queue::FairQueue;
use super::limiter::{Limiter, NoPermit, Permit};
use super::shared::Entry;
#[cfg(feature = "redis")]
use super::shared::Gate;
use crate::clock::Clock;
use crate::key::IdentifierKey;

/// The share of the budget that a sign-in draws on (rule K13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Clerk has accepted exactly this credential before.
    Trusted,
    /// The credential is unknown, or no longer trusted.
    Untrusted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// How many sign-ins may start in any window, and how long a window is. `None` means no limit.
    pub(crate) sign_ins: Option<(u32, Duration)>,
    /// The longest wait of a request for its permit.
    pub(crate) wait: Duration,
    /// The most waiting requests per share. Renewals have a queue of the same size.
    pub(crate) queue: usize,
}

/// A request for a permit to sign in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PermitRequest {
    pub(crate) share: Share,
    pub(crate) identifier: IdentifierKey,
    /// A hash of the source of the request, such as the client's address, if the layer knows it.
    pub(crate) source: Option<u64>,
    /// Set if this sign-in renews a proof before it ends, and no request waits for it: the longest wait for the permit.
    /// A renewal may wait longer than a request, and starts after the requests of its share.
    pub(crate) renewal: Option<Duration>,
}

pub(crate) type SignInLimiter = Limiter<FairQueue>;

pub(crate) type SignInPermit = Permit<FairQueue>;

impl SignInLimiter {
    pub(crate) fn new(budget: Budget, clock: Clock) -> Arc<Self> {
        Self::with(FairQueue::new(budget), clock)
    }

    /// Counts sign-ins that another process has started at these times, for the rest of their windows.
    pub(crate) fn spent_before(self: &Arc<Self>, started: &[Instant]) {
        self.change_policy(false, |queue| queue.spent_before(started));
    }

    /// Sets the number of trusted credentials, which caps the reserved share.
    pub(crate) fn set_trusted(self: &Arc<Self>, trusted: u64) {
        let trusted = u32::try_from(trusted).unwrap_or(u32::MAX);
        self.change_policy(false, |queue| queue.set_trusted(trusted));
    }
}

impl SignInLimiter {
    /// Puts the budget of all processes behind this one. Only the first call has an effect.
    #[cfg(feature = "redis")]
    pub(crate) fn share(&self, gate: Arc<dyn Gate>) {
        _ = self.gate.set(gate);
    }

    /// Waits for a permit of this process, and then of all processes that share the budget. Dropping the future gives up
    /// either.
    pub(crate) async fn permit(self: &Arc<Self>, request: PermitRequest) -> Result<SignInPermit, NoPermit> {
        let Some(gate) = self.gate.get() else { return self.own_permit(request).await };
        let began = Instant::now();
        let permit = self.own_permit(request).await?;
        let (budget, untrusted) =
            self.change_policy(false, |queue| (queue.budget, queue.untrusted_permits()));
        let patience = request.renewal.unwrap_or(budget.wait).saturating_sub(began.elapsed());
        let entry = Entry { id: permit.id(), request, budget: budget.sign_ins, untrusted, patience };
        match gate.enter(entry).await {
            Ok(()) if self.is_closed() => Err(NoPermit { earliest: Duration::ZERO }),
            Ok(()) => Ok(permit),
            Err(earliest) => Err(NoPermit { earliest: earliest.max(Duration::from_secs(1)) }),
        }
    }
}

impl SignInPermit {
    /// Counts this sign-in towards the trusted share, since Clerk has accepted the credential.
    pub(crate) fn proved(&self) {
        self.change_policy(FairQueue::proved);
        if let Some(gate) = self.limiter().gate.get() {
            gate.proved(self.id());
        }
    }
}

#[cfg(test)]
mod tests;
