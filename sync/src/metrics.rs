//! What the mirror tells a recorder of the `metrics` facade.

use crate::kind::Kind;
use crate::mirror::{Outcome, Vitals};

/// Counts an event by the kind of its object and what became of it; `None` if the database failed.
pub(crate) fn count(event_type: &str, outcome: Option<Outcome>) {
    let kind = Kind::of_event(event_type).map_or("other", Kind::name);
    let outcome = match outcome {
        Some(Outcome::Ignored) => "ignored",
        Some(Outcome::Duplicate) => "duplicate",
        Some(Outcome::Applied) => "applied",
        Some(Outcome::Outdated) => "outdated",
        Some(Outcome::Quarantined) => "quarantined",
        None => "failed",
    };
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_clerk_sync_events_total", "kind" => kind, "outcome" => outcome).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (kind, outcome);
}

/// Sets the gauges.
pub(crate) fn set(vitals: &Vitals) {
    #[cfg(feature = "metrics")]
    {
        // A time rather than an age: it stays right between two readings, and shows a housekeeper that has stopped.
        if let Some(at) = vitals.last_event_at {
            metrics::gauge!("tower_clerk_sync_last_event_timestamp_seconds").set(at as f64 / 1000.0);
        }
        metrics::gauge!("tower_clerk_sync_quarantined").set(vitals.quarantined as f64);
        metrics::gauge!("tower_clerk_sync_pending_changes").set(vitals.pending_changes as f64);
        metrics::gauge!("tower_clerk_sync_last_position").set(vitals.last_position as f64);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = vitals;
}
