//! Decides which sign-in starts next: the state of the budget and of its queue, as a [`Policy`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Budget, PermitRequest, Share};
use crate::key::IdentifierKey;
use crate::limits::backoff::{Backoff, CallKind};
use crate::limits::policy::{Policy, RequestId};

/// The longest pause during which requests stay in the queue.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// The assumed latency of a sign-in, until the first one has been answered.
const FIRST_LATENCY: Duration = Duration::from_millis(200);

/// The budget, and the requests that wait for it.
#[derive(Debug)]
pub(crate) struct FairQueue {
    pub(super) budget: Budget,
    /// Permits that are in use, or that have not come back yet.
    pub(super) spent: Vec<Spent>,
    pub(super) waiting: VecDeque<Waiting>,
    /// Identifiers with a sign-in under way. Each may have only one at a time (rule K8).
    under_way: HashSet<IdentifierKey>,
    /// When each source and identifier was last served, as a value of `served`.
    last_served: HashMap<RoundRobin, u64>,
    /// How many requests were served.
    served: u64,
    pub(super) backoff: Backoff,
    /// Number of trusted credentials; caps the reserved share.
    trusted: u32,
    /// A moving average of the latency of sign-ins. A permit comes back this much later than a window after its start.
    pub(super) latency: Duration,
}

#[derive(Debug)]
pub(super) struct Spent {
    id: RequestId,
    /// `None` for a sign-in of another process.
    identifier: Option<IdentifierKey>,
    pub(super) share: Share,
    pub(super) started: Instant,
    /// `None` while the sign-in is under way.
    pub(super) back_at: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    id: RequestId,
    pub(super) request: PermitRequest,
}

/// A source or an identifier, served round-robin with the others of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RoundRobin {
    Trusted(IdentifierKey),
    Source(Option<u64>),
    Untrusted(Option<u64>, IdentifierKey),
}

impl Policy for FairQueue {
    type Request = PermitRequest;

    fn join(
        &mut self,
        id: RequestId,
        request: PermitRequest,
        now: Instant,
    ) -> Result<Option<RequestId>, Instant> {
        self.forget_returned(now);
        let earliest = self.earliest(request, now);
        if self.is_paused(now) || earliest.saturating_duration_since(now) > self.patience(request) {
            return Err(earliest);
        }
        // Each share has its own queue, so that a crowd in one doesn't cause rejections in the other.
        let is_alike = |it: &PermitRequest| {
            it.share == request.share && it.renewal.is_some() == request.renewal.is_some()
        };
        let queued = self.waiting.iter().filter(|waiting| is_alike(&waiting.request)).count();
        let removed =
            if queued < self.budget.queue { None } else { Some(self.make_room(request).ok_or(earliest)?) };
        self.waiting.push_back(Waiting { id, request });
        Ok(removed)
    }

    fn leave(&mut self, id: RequestId) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    fn clear(&mut self) {
        self.waiting.clear();
    }

    fn next(&mut self, now: Instant) -> Option<RequestId> {
        self.forget_returned(now);
        let Waiting { id, request } = self.waiting.remove(self.first(now)?)?;
        let PermitRequest { share, identifier, .. } = request;
        self.spent.push(Spent { id, identifier: Some(identifier), share, started: now, back_at: None });
        self.under_way.insert(identifier);
        self.mark_served(request);
        Some(id)
    }

    fn next_change(&self, now: Instant) -> Option<Instant> {
        let back = self.spent.iter().filter_map(|spent| spent.back_at);
        back.filter(|at| *at > now).chain(self.backoff.end(now)).min()
    }

    /// A permit whose sign-in has started comes back one window from now: Clerk counts from when it received the
    /// request, which was before its answer.
    fn put_back(&mut self, id: RequestId, started: bool, now: Instant) {
        let Some(at) = self.spent.iter().position(|spent| spent.id == id) else { return };
        if let Some(identifier) = &self.spent[at].identifier {
            self.under_way.remove(identifier);
        }
        match self.budget.sign_ins {
            Some((_, window)) if started => {
                let spent = &mut self.spent[at];
                spent.back_at = Some(now + window);
                self.latency = (3 * self.latency + now.saturating_duration_since(spent.started)) / 4;
            }
            _ => _ = self.spent.remove(at),
        }
    }

    fn patience(&self, request: PermitRequest) -> Duration {
        request.renewal.unwrap_or(self.budget.wait)
    }

    fn next_chance(&self, request: PermitRequest, now: Instant) -> Instant {
        self.next_in_share(request, now)
    }

    fn backoff(&mut self) -> &mut Backoff {
        &mut self.backoff
    }

    /// Requests don't wait for the end of a long pause, since another pause may follow it.
    fn is_paused(&self, now: Instant) -> bool {
        self.backoff.left(now).is_some_and(|left| left > SHORT_PAUSE)
    }
}

impl FairQueue {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            spent: Vec::new(),
            waiting: VecDeque::new(),
            under_way: HashSet::new(),
            last_served: HashMap::new(),
            served: 0,
            backoff: Backoff::new(CallKind::SignIn),
            trusted: 0,
            latency: FIRST_LATENCY,
        }
    }

    /// Moves a permit to the trusted share.
    pub(super) fn proved(&mut self, id: RequestId) {
        if let Some(spent) = self.spent.iter_mut().find(|spent| spent.id == id) {
            spent.share = Share::Trusted;
        }
    }

    /// Adds the sign-ins that another process has started at these times. Their answers are assumed to have come after
    /// the latency that is assumed of any.
    pub(super) fn spent_before(&mut self, started: &[Instant]) {
        let Some((_, window)) = self.budget.sign_ins else { return };
        let of_other = |&started: &Instant| Spent {
            // Requests of this process are counted from 1.
            id: 0,
            identifier: None,
            share: Share::Trusted,
            started,
            back_at: Some(started + FIRST_LATENCY + window),
        };
        self.spent.extend(started.iter().map(of_other));
    }

    pub(super) fn set_trusted(&mut self, trusted: u32) {
        self.trusted = trusted;
    }

    /// How many permits untrusted credentials may use. Three of five are reserved for trusted credentials, but no more
    /// than there are trusted credentials.
    pub(super) fn untrusted_permits(&self) -> usize {
        let limit = self.budget.sign_ins.map_or(0, |(limit, _)| limit);
        (limit - (limit / 5 * 3 + limit % 5 * 3 / 5).min(self.trusted)) as usize
    }

    /// Makes room in a full queue for a source that has few requests in it, by removing the newest request of the
    /// source with the most. Returns the removed request.
    fn make_room(&mut self, request: PermitRequest) -> Option<RequestId> {
        let mut counts: HashMap<Option<u64>, usize> = HashMap::new();
        for waiting in self.waiting.iter().filter(|waiting| waiting.request.share == Share::Untrusted) {
            *counts.entry(waiting.request.source).or_default() += 1;
        }
        let own = counts.get(&request.source).copied().unwrap_or(0);
        let (busiest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if request.share == Share::Trusted || most <= own + 1 {
            return None;
        }
        let is_of_busiest = |it: &PermitRequest| it.share == Share::Untrusted && it.source == busiest;
        let newest = self.waiting.iter().rposition(|waiting| is_of_busiest(&waiting.request));
        newest.and_then(|at| self.waiting.remove(at)).map(|removed| removed.id)
    }

    /// The index of the request that starts next: the trusted share first, then the untrusted one, each round-robin.
    fn first(&self, now: Instant) -> Option<usize> {
        if self.backoff.left(now).is_some() {
            return None;
        }
        let mut untrusted_may = true;
        if let Some((limit, _)) = self.budget.sign_ins {
            if self.spent.len() >= limit as usize {
                return None;
            }
            let untrusted = self.spent.iter().filter(|spent| spent.share == Share::Untrusted).count();
            untrusted_may = untrusted < self.untrusted_permits();
        }
        let last_served = |key| self.last_served.get(&key).copied().unwrap_or(0);
        let first = |share: Share, renewals: bool| {
            let may = |waiting: &Waiting| {
                waiting.request.share == share
                    && (renewals || waiting.request.renewal.is_none())
                    && !self.under_way.contains(&waiting.request.identifier)
            };
            let waiting = self.waiting.iter().enumerate().filter(|(_, waiting)| may(waiting));
            waiting
                .min_by_key(|(_, waiting)| waiting.request.round_robin_keys().map(last_served))
                .map(|(at, _)| at)
        };
        first(Share::Trusted, false)
            .or_else(|| first(Share::Trusted, true))
            .or_else(|| first(Share::Untrusted, true).filter(|_| untrusted_may))
    }

    fn mark_served(&mut self, request: PermitRequest) {
        self.served += 1;
        for key in request.round_robin_keys() {
            self.last_served.insert(key, self.served);
        }
        // Under a flood the queue is never empty, so entries without a waiting request are cleared out here.
        if self.last_served.len() > 8 * self.waiting.len().max(128) {
            let waiting: HashSet<RoundRobin> =
                self.waiting.iter().flat_map(|waiting| waiting.request.round_robin_keys()).collect();
            self.last_served.retain(|key, _| waiting.contains(key));
        }
    }

    fn forget_returned(&mut self, now: Instant) {
        self.spent.retain(|spent| spent.back_at.is_none_or(|at| at > now));
        if self.waiting.is_empty() {
            self.last_served.clear();
        }
    }
}

#[cfg(test)]
impl FairQueue {
    /// Whether all permits are back, no request waits, and the round-robin state is empty.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget_returned(now);
        self.spent.is_empty()
            && self.waiting.is_empty()
            && self.under_way.is_empty()
            && self.last_served.is_empty()
    }

    pub(super) fn round_robin_len(&self) -> usize {
        self.last_served.len()
    }
}

impl PermitRequest {
    /// The keys that it is ordered by: first among sources, then among the identifiers of one source.
    fn round_robin_keys(&self) -> [RoundRobin; 2] {
        match self.share {
            Share::Trusted => [RoundRobin::Trusted(self.identifier); 2],
            Share::Untrusted => {
                [RoundRobin::Source(self.source), RoundRobin::Untrusted(self.source, self.identifier)]
            }
        }
    }
}
