//! How requests ended.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::rejection::RejectionKind;

/// How a request ended, as far as this crate is concerned. Each request has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Let in from what was held, at once.
    Hit,
    /// Let in after a token was minted for a live session.
    Minted,
    /// Let in after a sign-in of its own.
    SignedIn,
    /// Let in after a sign-in that another request had begun.
    Joined,
    /// Passed without a session: optional, exempt, or a preflight.
    Anonymous,
    /// Rejected: no credentials.
    Missing,
    /// Rejected: malformed.
    Malformed,
    /// Rejected from memory, without asking Clerk.
    Denied,
    /// Rejected by Clerk.
    Rejected,
    /// Rejected: the user has something to do first.
    ActionRequired,
    /// Rejected: a second factor is due.
    SecondFactor,
    /// Rejected: not the user's organization.
    OrganizationForbidden,
    /// Rejected: too many failures.
    Throttled,
    /// Rejected: no turn in the sign-in budget, or Clerk's quota spent.
    RateLimited,
    /// Rejected: Clerk is away.
    Unavailable,
    /// Rejected: wrong set-up.
    Misconfigured,
    /// Rejected: a error of ours.
    Internal,
    /// The client went away before there was an answer.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] = &[
        Self::Hit,
        Self::Minted,
        Self::SignedIn,
        Self::Joined,
        Self::Anonymous,
        Self::Missing,
        Self::Malformed,
        Self::Denied,
        Self::Rejected,
        Self::ActionRequired,
        Self::SecondFactor,
        Self::OrganizationForbidden,
        Self::Throttled,
        Self::RateLimited,
        Self::Unavailable,
        Self::Misconfigured,
        Self::Internal,
        Self::Cancelled,
    ];

    /// A stable name, as it stands in a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Minted => "minted",
            Self::SignedIn => "signed_in",
            Self::Joined => "joined",
            Self::Anonymous => "anonymous",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::ActionRequired => "action_required",
            Self::SecondFactor => "second_factor",
            Self::OrganizationForbidden => "organization_forbidden",
            Self::Throttled => "throttled",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(kind: RejectionKind) -> Self {
        match kind {
            RejectionKind::CredentialsMissing => Self::Missing,
            RejectionKind::CredentialsMalformed => Self::Malformed,
            RejectionKind::CredentialsRejected => Self::Rejected,
            RejectionKind::AccountActionRequired => Self::ActionRequired,
            RejectionKind::SecondFactorRequired => Self::SecondFactor,
            RejectionKind::OrganizationForbidden | RejectionKind::Forbidden => Self::OrganizationForbidden,
            RejectionKind::Throttled => Self::Throttled,
            RejectionKind::UpstreamRateLimited => Self::RateLimited,
            RejectionKind::UpstreamUnavailable => Self::Unavailable,
            RejectionKind::Misconfigured => Self::Misconfigured,
            RejectionKind::Internal => Self::Internal,
        }
    }
}

/// Threads that count without meeting each other.
const STRIPES: usize = 16;

/// Counts outcomes. Each thread has a stripe, and with it cache lines, of its own: a counter that two threads share
/// costs a hit eight times as much.
#[derive(Debug, Default)]
pub(crate) struct Outcomes([Stripe; STRIPES]);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; Outcome::ALL.len()]);

impl Outcomes {
    pub(crate) fn count(&self, outcome: Outcome) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static STRIPE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        let stripe = STRIPE.with(|stripe| *stripe);
        self.0[stripe].0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self, outcome: Outcome) -> u64 {
        self.0.iter().map(|stripe| stripe.0[outcome as usize].load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn all(&self) -> Box<[(Outcome, u64)]> {
        Outcome::ALL.iter().map(|outcome| (*outcome, self.total(*outcome))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_every_outcome_has_its_cell_and_its_name() {
        let outcomes = Outcomes::default();
        for (at, outcome) in Outcome::ALL.iter().copied().enumerate() {
            assert_eq!(outcome as usize, at);
            (0..=at).for_each(|_| outcomes.count(outcome));
        }
        let all = outcomes.all();
        assert!(all.iter().enumerate().all(|(at, (_, count))| *count == at as u64 + 1));
        let mut names: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Outcome::ALL.len());
    }

    #[test]
    fn o2_threads_count_together() {
        let outcomes = Outcomes::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1000).for_each(|_| outcomes.count(Outcome::Hit)));
            }
        });
        assert_eq!(outcomes.total(Outcome::Hit), 20_000);
    }
}
