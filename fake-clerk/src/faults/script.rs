//! The script: the faults that each endpoint has ahead.

use std::collections::{HashMap, VecDeque};

use crate::endpoint::Endpoint;
use crate::faults::fault::Fault;

/// Queued faults, and permanent ones.
#[derive(Default)]
pub(crate) struct Script {
    once: HashMap<Endpoint, VecDeque<Fault>>,
    always: HashMap<Endpoint, Fault>,
}

impl Script {
    pub(crate) fn push(&mut self, endpoint: Endpoint, times: usize, fault: Fault) {
        let queue = self.once.entry(endpoint).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    pub(crate) fn always(&mut self, endpoint: Endpoint, fault: Fault) {
        self.always.insert(endpoint, fault);
    }

    pub(crate) fn clear(&mut self, endpoint: Endpoint) {
        self.once.remove(&endpoint);
        self.always.remove(&endpoint);
        if endpoint == Endpoint::Any {
            self.once.clear();
            self.always.clear();
        }
    }

    /// Returns the fault for the next request to an endpoint. The endpoint's own faults come before those of its API
    /// and those of any endpoint; queued faults come before permanent ones.
    pub(crate) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let mut places = endpoint.groups();
        let queued = places.clone().find_map(|place| self.once.get_mut(&place)?.pop_front());
        queued.or_else(|| places.find_map(|place| self.always.get(&place).cloned()))
    }
}
