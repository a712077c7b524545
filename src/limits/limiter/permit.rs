//! A permit to make one call.

use std::sync::Arc;

use super::Limiter;
use crate::limits::policy::{Policy, RequestId};

/// A permit to make one call.
///
/// A permit that is dropped before its call has started doesn't count against the limit.
#[derive(Debug)]
pub(crate) struct Permit<P: Policy> {
    limiter: Arc<Limiter<P>>,
    id: RequestId,
    has_started: bool,
    is_out: bool,
}

impl<P: Policy> Permit<P> {
    pub(super) fn new(limiter: &Arc<Limiter<P>>, id: RequestId) -> Self {
        Self { limiter: Arc::clone(limiter), id, has_started: false, is_out: true }
    }

    /// Marks the call as started. From here on the permit counts against the limit.
    pub(crate) fn start(&mut self) {
        self.has_started = true;
        if let Some(on_start) = self.limiter.on_start.0.get() {
            on_start();
        }
    }

    /// Gives the permit back before it is dropped. The sign-in limiter allows one permit per identifier at a time, so a
    /// second call needs this one back first.
    pub(crate) fn give_back(&mut self) {
        if std::mem::replace(&mut self.is_out, false) {
            let (id, has_started, now) = (self.id, self.has_started, self.limiter.clock.now());
            self.limiter.change_policy(true, |policy| policy.put_back(id, has_started, now));
            if let Some(gate) = self.limiter.gate.get() {
                gate.leave(id, has_started);
            }
        }
    }

    pub(in crate::limits) fn id(&self) -> RequestId {
        self.id
    }

    pub(in crate::limits) fn limiter(&self) -> &Arc<Limiter<P>> {
        &self.limiter
    }

    /// Changes the policy's record of this permit.
    pub(in crate::limits) fn change_policy(&self, change: impl FnOnce(&mut P, RequestId)) {
        self.limiter.change_policy(true, |policy| change(policy, self.id));
    }
}

impl<P: Policy> Drop for Permit<P> {
    fn drop(&mut self) {
        self.give_back();
    }
}
