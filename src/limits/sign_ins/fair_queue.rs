//! Which sign-in starts next: the state of the budget and of the queue for it, without any waiting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Budget, PermitRequest, Share};
use crate::key::IdentifierKey;
use crate::limits::backoff::{Backoff, CallKind};
use crate::limits::policy::{Policy, RequestId};

/// The longest pause whose end is waited for.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Taken for the time that a sign-in takes before the first one has been answered.
const FIRST_LATENCY: Duration = Duration::from_millis(200);

/// The budget, and the requests that wait for it.
#[derive(Debug)]
pub(crate) struct FairQueue {
    pub(super) budget: Budget,
    /// Permits that are out, or not back yet.
    pub(super) spent: Vec<Spent>,
    pub(super) waiting: VecDeque<Waiting>,
    /// Identifiers with a sign-in under way: one at a time (rule K8).
    under_way: HashSet<IdentifierKey>,
    /// When each last had a turn, as a count of turns.
    last_turn: HashMap<Taker, u64>,
    turns: u64,
    pub(super) backoff: Backoff,
    /// Number of trusted credentials; caps the reserved share.
    trusted: u32,
    /// How long sign-ins take, lately: a permit comes back so much later than a window after its start.
    pub(super) latency: Duration,
}

#[derive(Debug)]
pub(super) struct Spent {
    id: RequestId,
    identifier: IdentifierKey,
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

/// A party that takes turns with others of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Taker {
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
        // Each share has a queue of its own: a crowd in one is no reason to send the other away.
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
        self.spent.push(Spent { id, identifier, share, started: now, back_at: None });
        self.under_way.insert(identifier);
        self.had_turn(request);
        Some(id)
    }

    fn next_change(&self, now: Instant) -> Option<Instant> {
        let back = self.spent.iter().filter_map(|spent| spent.back_at);
        back.filter(|at| *at > now).chain(self.backoff.end(now)).min()
    }

    /// A permit whose sign-in has started comes back a window from now: Clerk counts from when it saw the request, which
    /// was before its answer came.
    fn put_back(&mut self, id: RequestId, started: bool, now: Instant) {
        let Some(at) = self.spent.iter().position(|spent| spent.id == id) else { return };
        self.under_way.remove(&self.spent[at].identifier);
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

    /// A long pause may be followed by another.
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
            last_turn: HashMap::new(),
            turns: 0,
            backoff: Backoff::new(CallKind::SignIn),
            trusted: 0,
            latency: FIRST_LATENCY,
        }
    }

    /// A permit counts with the trusted from now on.
    pub(super) fn proved(&mut self, id: RequestId) {
        if let Some(spent) = self.spent.iter_mut().find(|spent| spent.id == id) {
            spent.share = Share::Trusted;
        }
    }

    pub(super) fn set_trusted(&mut self, trusted: u32) {
        self.trusted = trusted;
    }

    /// How many permits the untrusted share has: all but three of five, of which no more are reserved than there are trusted
    /// credentials.
    pub(super) fn unproven_permits(&self) -> usize {
        let limit = self.budget.sign_ins.map_or(0, |(limit, _)| limit);
        (limit - (limit / 5 * 3 + limit % 5 * 3 / 5).min(self.trusted)) as usize
    }

    /// Makes room in a full queue for a source with few requests there, at the cost of the source with most. Returns the
    /// request that is removed.
    fn make_room(&mut self, request: PermitRequest) -> Option<RequestId> {
        let mut counts: HashMap<Option<u64>, usize> = HashMap::new();
        for waiting in self.waiting.iter().filter(|waiting| waiting.request.share == Share::Untrusted) {
            *counts.entry(waiting.request.source).or_default() += 1;
        }
        let own = counts.get(&request.source).copied().unwrap_or(0);
        let (greediest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if request.share == Share::Trusted || most <= own + 1 {
            return None;
        }
        let is_greedy = |it: &PermitRequest| it.share == Share::Untrusted && it.source == greediest;
        let newest = self.waiting.iter().rposition(|waiting| is_greedy(&waiting.request));
        newest.and_then(|at| self.waiting.remove(at)).map(|removed| removed.id)
    }

    /// The place of the request that starts next: the trusted first, then the others, each turn by turn.
    fn first(&self, now: Instant) -> Option<usize> {
        if self.backoff.left(now).is_some() {
            return None;
        }
        let mut unproven_may = true;
        if let Some((limit, _)) = self.budget.sign_ins {
            if self.spent.len() >= limit as usize {
                return None;
            }
            let untrusted = self.spent.iter().filter(|spent| spent.share == Share::Untrusted).count();
            unproven_may = untrusted < self.unproven_permits();
        }
        let turn = |taker| self.last_turn.get(&taker).copied().unwrap_or(0);
        let first = |share: Share, renewals: bool| {
            let may = |waiting: &Waiting| {
                waiting.request.share == share
                    && (renewals || waiting.request.renewal.is_none())
                    && !self.under_way.contains(&waiting.request.identifier)
            };
            let waiting = self.waiting.iter().enumerate().filter(|(_, waiting)| may(waiting));
            waiting.min_by_key(|(_, waiting)| waiting.request.takers().map(turn)).map(|(at, _)| at)
        };
        first(Share::Trusted, false)
            .or_else(|| first(Share::Trusted, true))
            .or_else(|| first(Share::Untrusted, true).filter(|_| unproven_may))
    }

    fn had_turn(&mut self, request: PermitRequest) {
        self.turns += 1;
        for taker in request.takers() {
            self.last_turn.insert(taker, self.turns);
        }
        // Under a flood the queue is never empty, so takers that wait no longer are cleared out here.
        if self.last_turn.len() > 8 * self.waiting.len().max(128) {
            let waiting: HashSet<Taker> =
                self.waiting.iter().flat_map(|waiting| waiting.request.takers()).collect();
            self.last_turn.retain(|taker, _| waiting.contains(taker));
        }
    }

    fn forget_returned(&mut self, now: Instant) {
        self.spent.retain(|spent| spent.back_at.is_none_or(|at| at > now));
        if self.waiting.is_empty() {
            self.last_turn.clear();
        }
    }
}

#[cfg(test)]
impl FairQueue {
    /// Whether all permits are back, no request waits, and no turn is remembered.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget_returned(now);
        self.spent.is_empty()
            && self.waiting.is_empty()
            && self.under_way.is_empty()
            && self.last_turn.is_empty()
    }

    pub(super) fn remembered(&self) -> usize {
        self.last_turn.len()
    }
}

impl PermitRequest {
    /// The parties that it takes turns as: first among sources, then within one.
    fn takers(&self) -> [Taker; 2] {
        match self.share {
            Share::Trusted => [Taker::Trusted(self.identifier); 2],
            Share::Untrusted => [Taker::Source(self.source), Taker::Untrusted(self.source, self.identifier)],
        }
    }
}
