//! Counts deliveries of webhooks by the type of their event and by their outcome (rule O2).

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// The types that are counted by themselves: those that the engine acts on. The number of series is fixed, so all others
/// are one.
const TYPES: [&str; 20] = [
    "user.created",
    "user.updated",
    "user.deleted",
    "session.created",
    "session.pending",
    "session.ended",
    "session.removed",
    "session.revoked",
    "organization.created",
    "organization.updated",
    "organization.deleted",
    "organizationMembership.created",
    "organizationMembership.updated",
    "organizationMembership.deleted",
    "role.created",
    "role.updated",
    "role.deleted",
    "permission.created",
    "permission.updated",
    "permission.deleted",
];

/// The name of all other types.
const OTHER: &str = "other";

/// The name in place of a type where the signature isn't right, or was not looked at.
const UNVERIFIED: &str = "unverified";

/// How a delivery of a webhook ended. Each delivery has exactly one outcome.
///
/// [`Stats::webhooks`](crate::stats::Stats::webhooks) counts deliveries by outcome and by the type of their event. With the
/// feature `metrics`, `Clerk::publish_metrics` reports the same counts as `tower_clerk_webhooks_total`.
///
/// ```
/// use tower_clerk::stats::{Stats, WebhookOutcome};
///
/// fn refused(stats: &Stats) -> u64 {
///     let counts = stats.webhooks.iter().filter(|it| it.outcome == WebhookOutcome::Signature);
///     counts.map(|it| it.count).sum()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookOutcome {
    /// The engine has acted, and the sink has succeeded if there is one.
    Done,
    /// A delivery with the same id was done before.
    Duplicate,
    /// The sink failed, took too long, or is busy with other events or with the same one. The event comes again.
    Deferred,
    /// Refused: the signed header fields are missing or malformed.
    Headers,
    /// Refused: the delivery was signed more than 5 min ago, or in the future.
    Timestamp,
    /// Refused: no secret has signed it.
    Signature,
    /// Refused: the signature is right, but the body is no event.
    Body,
    /// Refused: the method isn't POST.
    Method,
    /// Refused: the body has more than 1 MiB.
    TooLarge,
    /// Refused: the body did not arrive in time, or too many others were being read.
    Unread,
}

impl WebhookOutcome {
    /// All outcomes, in the order in which they are declared.
    pub const ALL: &'static [Self] = &[
        Self::Done,
        Self::Duplicate,
        Self::Deferred,
        Self::Headers,
        Self::Timestamp,
        Self::Signature,
        Self::Body,
        Self::Method,
        Self::TooLarge,
        Self::Unread,
    ];

    /// The outcomes of events whose type is known, since their signature is right.
    const VERIFIED: usize = 3;

    /// The outcome's name in snake case, which is the value of the metric's label `outcome`. It is stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Deferred => "deferred",
            Self::Headers => "headers",
            Self::Timestamp => "timestamp",
            Self::Signature => "signature",
            Self::Body => "body",
            Self::Method => "method",
            Self::TooLarge => "too_large",
            Self::Unread => "unread",
        }
    }
}

/// The deliveries of one type of event with one outcome.
///
/// [`Stats::webhooks`](crate::stats::Stats::webhooks) has an entry for each pair that is possible, also for those that have
/// not occurred.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookDeliveries {
    /// The type of the event, such as `user.updated`. Types that the engine doesn't act on are `other`, and deliveries whose
    /// signature isn't right are `unverified`.
    pub event_type: &'static str,
    /// How the deliveries ended.
    pub outcome: WebhookOutcome,
    /// The number of deliveries.
    pub count: u64,
}

#[derive(Debug)]
pub(crate) struct WebhookCounts {
    /// By type, the last one being for all others.
    verified: [[AtomicU64; WebhookOutcome::VERIFIED]; TYPES.len() + 1],
    unverified: [AtomicU64; WebhookOutcome::ALL.len() - WebhookOutcome::VERIFIED],
}

impl WebhookCounts {
    /// Counts a delivery; `event_type` is that of a verified event.
    pub(crate) fn count(&self, event_type: Option<&str>, outcome: WebhookOutcome) {
        let at = outcome as usize;
        let cell = match (event_type, at.checked_sub(WebhookOutcome::VERIFIED)) {
            (_, Some(at)) => &self.unverified[at],
            (event_type, None) => {
                let is_it = |name: &&str| event_type == Some(*name);
                &self.verified[TYPES.iter().position(is_it).unwrap_or(TYPES.len())][at]
            }
        };
        cell.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> Box<[WebhookDeliveries]> {
        let (of_verified, of_unverified) = WebhookOutcome::ALL.split_at(WebhookOutcome::VERIFIED);
        let cells = |event_type, outcomes: &'static [WebhookOutcome], counts: &[AtomicU64]| {
            let counts: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            outcomes.iter().zip(counts).map(move |(outcome, count)| WebhookDeliveries {
                event_type,
                outcome: *outcome,
                count,
            })
        };
        let types = TYPES.into_iter().chain([OTHER]).zip(&self.verified);
        let verified = types.flat_map(|(name, counts)| cells(name, of_verified, counts));
        verified.chain(cells(UNVERIFIED, of_unverified, &self.unverified)).collect()
    }
}

impl Default for WebhookCounts {
    fn default() -> Self {
        Self {
            verified: array::from_fn(|_| array::from_fn(|_| AtomicU64::new(0))),
            unverified: array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn o2_the_number_of_series_is_fixed_and_unknown_types_are_one() {
        let counts = WebhookCounts::default();
        let series = |counts: &WebhookCounts| {
            let names: HashSet<_> =
                counts.all().iter().map(|it| (it.event_type, it.outcome.name())).collect();
            assert_eq!(names.len(), counts.all().len(), "no series is there twice");
            names
        };
        let before = series(&counts);
        assert_eq!(before.len(), (TYPES.len() + 1) * 3 + 7);
        for (at, outcome) in WebhookOutcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, at);
            for event_type in [Some("user.updated"), Some("email.created"), Some("user_2abc"), Some(""), None]
            {
                counts.count(event_type, *outcome);
            }
        }
        assert_eq!(series(&counts), before);
        let count = |event_type: &str, outcome: WebhookOutcome| {
            let all = counts.all();
            all.iter().find(|it| it.event_type == event_type && it.outcome == outcome).map(|it| it.count)
        };
        assert_eq!(count("user.updated", WebhookOutcome::Duplicate), Some(1));
        assert_eq!(count("other", WebhookOutcome::Deferred), Some(4));
        assert_eq!(count("unverified", WebhookOutcome::Unread), Some(5));
        assert_eq!(counts.all().iter().map(|it| it.count).sum::<u64>(), 50);
    }
}
