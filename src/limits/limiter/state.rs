//! The state of a limiter, and the effects of changing it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Limiter, NoPermit, Permit};
use crate::limits::policy::{Policy, RequestId};

#[derive(Debug)]
pub(super) struct State<P: Policy> {
    pub(super) policy: P,
    /// The sending half of each waiting request's channel.
    pub(super) tickets: HashMap<RequestId, Ticket<P>>,
    last_id: RequestId,
    /// Whether a task grants permits.
    pub(super) is_driven: bool,
    pub(super) is_closed: bool,
}

pub(super) type Ticket<P> = oneshot::Sender<Permit<P>>;

/// The effects of a change, carried out after the lock is released.
pub(super) struct Effects<P: Policy> {
    pub(super) permits: Vec<(RequestId, Ticket<P>)>,
    /// Requests that were removed from the queue. Dropping the sender tells them.
    pub(super) ended: Vec<Ticket<P>>,
    /// Whether to wake the task.
    pub(super) has_changed: bool,
}

impl<P: Policy> State<P> {
    pub(super) fn new(policy: P) -> Self {
        Self { policy, tickets: HashMap::new(), last_id: 0, is_driven: false, is_closed: false }
    }

    /// Adds a request to the queue. Returns its id, and the receiver of its permit.
    pub(super) fn join(
        &mut self,
        request: P::Request,
        now: Instant,
        effects: &mut Effects<P>,
    ) -> Result<(RequestId, oneshot::Receiver<Permit<P>>), NoPermit> {
        if self.is_closed {
            return Err(NoPermit { earliest: Duration::ZERO });
        }
        self.last_id += 1;
        let removed = self
            .policy
            .join(self.last_id, request, now)
            .map_err(|at| NoPermit { earliest: at.saturating_duration_since(now) })?;
        effects.ended.extend(removed.and_then(|id| self.tickets.remove(&id)));
        let (ticket, permit) = oneshot::channel();
        self.tickets.insert(self.last_id, ticket);
        Ok((self.last_id, permit))
    }

    /// Grants permits to all requests that may start now.
    pub(super) fn grant(&mut self, now: Instant, effects: &mut Effects<P>) {
        while let Some(id) = self.policy.next(now) {
            match self.tickets.remove(&id) {
                Some(ticket) => effects.permits.push((id, ticket)),
                None => self.policy.put_back(id, false, now),
            }
        }
    }

    /// Ends all waits.
    pub(super) fn clear(&mut self, effects: &mut Effects<P>) {
        self.policy.clear();
        effects.ended.extend(self.tickets.drain().map(|(_, ticket)| ticket));
    }
}

impl<P: Policy> Default for Effects<P> {
    fn default() -> Self {
        Self { permits: Vec::new(), ended: Vec::new(), has_changed: false }
    }
}

impl<P: Policy> Effects<P> {
    /// Must be called without the lock.
    pub(super) fn carry_out(self, limiter: &Arc<Limiter<P>>) {
        // Create all permits before the first is sent. If a waker panics, the others are dropped and so given back.
        let new = |id| Permit::new(limiter, id);
        let permits: Vec<_> = self.permits.into_iter().map(|(id, ticket)| (ticket, new(id))).collect();
        for (ticket, permit) in permits {
            // If the request has been dropped, `send` fails and dropping the permit gives it back.
            drop(ticket.send(permit));
        }
        drop(self.ended);
        if self.has_changed {
            limiter.changed.notify_one();
        }
    }
}
