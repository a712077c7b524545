//! The parts that a service shares with its engine, or has of its own without one.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::effects;
use super::event::Event;
use crate::counters::{WebhookCounts, WebhookDeliveries, WebhookOutcome};
use crate::engine::Clerk;
use crate::limits::WarnThrottle;

#[derive(Clone)]
pub(super) enum Shared {
    Engine(Clerk),
    Own(Arc<Own>),
}

#[derive(Default)]
pub(super) struct Own {
    warnings: WarnThrottle,
    counts: WebhookCounts,
}

impl Shared {
    /// The time that timestamps of deliveries are compared with. Without an engine, it is the system's: a
    /// [`Clock`](crate::Clock) is anchored once, and would be behind after the machine was suspended.
    pub(super) fn time(&self) -> SystemTime {
        match self {
            Self::Engine(clerk) => clerk.clerk_time(),
            Self::Own(_) => SystemTime::now(),
        }
    }

    /// Lets the engine act on a verified event. The future tells whether the other replicas can read of what has changed.
    pub(super) fn apply(&self, event: &Event) -> impl Future<Output = bool> + Send + use<> {
        let changed = match self {
            Self::Engine(clerk) => effects::apply(clerk, event).then(|| clerk.clone()),
            Self::Own(_) => None,
        };
        async move {
            match changed {
                Some(clerk) => clerk.has_delivered_changes().await,
                None => true,
            }
        }
    }

    /// Whether to log a warning of this subject, which is at most once a minute.
    pub(super) fn is_warning_due(&self, subject: &str) -> bool {
        match self {
            Self::Engine(clerk) => clerk.is_warning_due(subject),
            Self::Own(own) => own.warnings.is_due(subject, Instant::now()),
        }
    }

    pub(super) fn count(&self, event_type: Option<&str>, outcome: WebhookOutcome) {
        match self {
            Self::Engine(clerk) => clerk.count_webhook(event_type, outcome),
            Self::Own(own) => own.counts.count(event_type, outcome),
        }
    }

    pub(super) fn counts(&self) -> Box<[WebhookDeliveries]> {
        match self {
            Self::Engine(clerk) => clerk.stats().webhooks,
            Self::Own(own) => own.counts.all(),
        }
    }
}
