//! Leave to make a call.

use std::sync::Arc;

use super::Limiter;
use crate::limits::policy::{Policy, RequestId};

/// Leave to make one call.
///
/// Dropped before its call has started, it costs nothing.
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

    /// The call starts now; from here on the permit counts.
    pub(crate) fn start(&mut self) {
        self.has_started = true;
    }

    /// Gives it back before its time: the call that follows needs another one, and there is one at a time.
    pub(crate) fn give_back(&mut self) {
        if std::mem::replace(&mut self.is_out, false) {
            let (id, has_started, now) = (self.id, self.has_started, self.limiter.clock.now());
            self.limiter.change_policy(true, |policy| policy.put_back(id, has_started, now));
        }
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
