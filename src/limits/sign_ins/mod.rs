//! The rate of sign-ins: which request may ask Clerk next, and when (rules P1, P2, K8, K13).
//!
//! Clerk allows one address five sign-ins in ten seconds. A permit is taken when a sign-in starts and comes back a
//! window after its answer, so that any window, wherever Clerk begins to count, holds at most as many as allowed; a
//! token bucket would let a full bucket and its refill through together, and earn a 429.
//!
//! Two shares live in the budget. Credentials that Clerk has accepted before go first, and most of the budget is
//! reserved for them as soon as there are any. The rest is for all others, turn by turn between sources and, within a
//! source, between identifiers. A sign-in that turns out right counts with the first share from then on, so a cold
//! start of honest users runs at the full budget, and a flood of wrong passwords at the rest of it.

mod fair_queue;
mod forecast;

use std::sync::Arc;
use std::time::Duration;

use self::fair_queue::FairQueue;
use super::limiter::{Limiter, Permit};
use crate::clock::Clock;
use crate::key::IdentifierKey;

/// Which share of the budget a sign-in draws on (rule K13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Clerk has accepted this very credential before.
    Trusted,
    /// Nothing is known of it.
    Untrusted,
}

/// How many sign-ins may start in any window, and how long a window is. `None`: as many as come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) sign_ins: Option<(u32, Duration)>,
    /// How long a request waits for its permit at most.
    pub(crate) wait: Duration,
    /// How many requests of each share wait at most.
    pub(crate) queue: usize,
}

/// A sign-in that wants to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PermitRequest {
    pub(crate) share: Share,
    pub(crate) identifier: IdentifierKey,
    /// Where the request comes from, if the layer can tell: a hash of the source's name.
    pub(crate) source: Option<u64>,
    /// A proof is renewed ahead of its end, no request waits for it, and this is how long there is time for it. It waits
    /// longer than a request does, and goes after the requests of its share.
    pub(crate) renewal: Option<Duration>,
}

/// The limit of sign-ins.
pub(crate) type SignInLimiter = Limiter<FairQueue>;

/// Leave to make one sign-in.
pub(crate) type SignInPermit = Permit<FairQueue>;

impl SignInLimiter {
    pub(crate) fn new(budget: Budget, clock: Clock) -> Arc<Self> {
        Self::with(FairQueue::new(budget), clock)
    }

    /// How many trusted credentials there are.
    pub(crate) fn set_trusted(self: &Arc<Self>, trusted: u64) {
        let trusted = u32::try_from(trusted).unwrap_or(u32::MAX);
        self.change_policy(false, |queue| queue.set_trusted(trusted));
    }
}

impl SignInPermit {
    /// The credential was right: it counts with the trusted from now on.
    pub(crate) fn proved(&self) {
        self.change_policy(FairQueue::proved);
    }
}

#[cfg(test)]
mod tests;
