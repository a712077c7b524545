//! Counts how requests ended.

use super::stripes::Stripes;
use crate::rejection::RejectionKind;

/// How authentication ended for a request. Each request has exactly one outcome.
///
/// [`Stats::requests`](crate::stats::Stats::requests) counts requests by outcome. With the feature `metrics`,
/// `Clerk::publish_metrics` reports the same counts as `tower_clerk_requests_total`.
///
/// ```
/// use tower_clerk::stats::{Outcome, Stats};
///
/// fn hits(stats: &Stats) -> u64 {
///     stats.requests.iter().filter(|(outcome, _)| *outcome == Outcome::Hit).map(|(_, count)| count).sum()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Passed with a stored session and token, or with a Bearer token or an API key that was verified before, without a call
    /// to Clerk.
    Hit,
    /// Passed after a token was minted for a stored session.
    Minted,
    /// Passed after a sign-in that this request started.
    SignedIn,
    /// Passed after a sign-in, or a verification of an API key, that another request had started.
    Joined,
    /// Passed with a Bearer token or an API key that was verified for this request. The next ones with it are hits.
    Verified,
    /// Passed without a session: credentials are optional, or the request is exempt or a CORS preflight.
    Anonymous,
    /// Rejected: the request has no credentials.
    Missing,
    /// Rejected: the credentials are malformed.
    Malformed,
    /// Rejected without a call to Clerk, because an earlier rejection is still remembered.
    Denied,
    /// Rejected: Clerk refused the credentials, or a Bearer token or an API key was refused.
    Rejected,
    /// Rejected: the user must act first, for example choose a new password.
    ActionRequired,
    /// Rejected: the account has a second factor.
    SecondFactor,
    /// Rejected: the organization is not one of the user's.
    OrganizationForbidden,
    /// Rejected: too many failed attempts with this identifier.
    Throttled,
    /// Rejected: the sign-in budget has no permit in time, or Clerk's quota is spent.
    RateLimited,
    /// Rejected: Clerk is unreachable, slow or broken.
    Unavailable,
    /// Rejected: the Clerk instance or the layer is misconfigured.
    Misconfigured,
    /// Rejected: an internal error of this crate.
    Internal,
    /// The client disconnected before authentication was done.
    Cancelled,
}

impl Outcome {
    /// All outcomes, in the order in which they are declared.
    pub const ALL: &'static [Self] = &[
        Self::Hit,
        Self::Minted,
        Self::SignedIn,
        Self::Joined,
        Self::Verified,
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

    /// The outcome's name in snake case, which is the value of the metric's label `outcome`. It is stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Minted => "minted",
            Self::SignedIn => "signed_in",
            Self::Joined => "joined",
            Self::Verified => "verified",
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

/// Counts outcomes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Stripes<{ Outcome::ALL.len() }>);

impl Outcomes {
    pub(crate) fn count(&self, outcome: Outcome) {
        self.0.count(outcome as usize);
    }

    /// Counts on the stripe of the current thread, which the caller knows.
    pub(crate) fn count_on(&self, stripe: usize, outcome: Outcome) {
        self.0.count_on(stripe, outcome as usize);
    }

    fn total(&self, outcome: Outcome) -> u64 {
        self.0.total(outcome as usize)
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
