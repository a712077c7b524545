//! The figures that the mirror gives a recorder of the `metrics` facade.

use crate::error::MirrorError;
use crate::kind::Kind;
#[cfg(feature = "metrics")]
use crate::mirror::Vitals;
use crate::mirror::{Mirror, Outcome};
#[cfg(feature = "metrics")]
use crate::run_status::Runs;

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
pub(crate) async fn measure(mirror: &Mirror) -> Result<(), MirrorError> {
    #[cfg(feature = "metrics")]
    {
        of_mirror(&mirror.vitals().await?);
        of_runs(&Runs::read(mirror).await?);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = mirror;
    Ok(())
}

#[cfg(feature = "metrics")]
fn of_mirror(vitals: &Vitals) {
    // A time rather than an age: it stays right between two readings, and shows a housekeeper that has stopped.
    if let Some(at) = vitals.last_event_at {
        metrics::gauge!("tower_clerk_sync_last_event_timestamp_seconds").set(at as f64 / 1000.0);
    }
    metrics::gauge!("tower_clerk_sync_quarantined").set(vitals.quarantined as f64);
    metrics::gauge!("tower_clerk_sync_pending_changes").set(vitals.pending_changes as f64);
    metrics::gauge!("tower_clerk_sync_last_position").set(vitals.last_position as f64);
}

/// The runs are those of any process: `clerk-sync` ends before anybody could ask it.
#[cfg(feature = "metrics")]
fn of_runs(runs: &Runs) {
    let flag = |yes: bool| f64::from(u8::from(yes));
    metrics::gauge!("tower_clerk_sync_lease_held").set(flag(runs.running.is_some()));
    let Some(last) = &runs.last_reconcile else { return };
    metrics::gauge!("tower_clerk_sync_last_reconcile_timestamp_seconds").set(last.at as f64 / 1000.0);
    for outcome in ["equal", "repaired", "differences_remain", "aborted"] {
        let is_last = flag(last.outcome() == outcome);
        metrics::gauge!("tower_clerk_sync_last_reconcile_outcome", "outcome" => outcome).set(is_last);
    }
    // A run that gave up has counted some of the differences only: those of the run before stay.
    if last.outcome() != "aborted" {
        for kind in Kind::ALL {
            let (found, remaining) = last.differences(kind);
            metrics::gauge!("tower_clerk_sync_drift", "kind" => kind.name()).set(found as f64);
            metrics::gauge!("tower_clerk_sync_drift_remaining", "kind" => kind.name()).set(remaining as f64);
        }
    }
}
