//! A metrics recorder that stores names and labels, to check that none contains a secret.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The names of metrics, with their labels.
#[derive(Clone, Default)]
pub(super) struct Labels(Arc<Mutex<BTreeSet<String>>>);

impl Labels {
    /// Installs the recorder for the whole process.
    pub(super) fn install() -> Self {
        let labels = Self::default();
        _ = metrics::set_global_recorder(labels.clone());
        labels
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_string());
    }
}

impl Recorder for Labels {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.add(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.add(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.add(key);
        Histogram::noop()
    }
}
