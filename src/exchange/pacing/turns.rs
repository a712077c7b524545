//! Whose turn it is: the state of the budget and of the queue for it, without any waiting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Budget, Share, Wish};
use crate::key::IdentifierKey;

/// A pause that is waited through.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Taken for the time that a sign-in takes before the first one has been answered.
const FIRST_LATENCY: Duration = Duration::from_millis(200);

/// The budget, who waits for it, and what they hold (`T`) to be told by.
#[derive(Debug)]
pub(super) struct Turns<T> {
    budget: Budget,
    /// Permits that are out, or not back yet.
    spent: Vec<Spent>,
    waiting: VecDeque<Waiting<T>>,
    /// Identifiers with a sign-in under way: one at a time (rule K8).
    under_way: HashSet<IdentifierKey>,
    /// When each last had a turn, as a count of turns.
    last_turn: HashMap<Taker, u64>,
    paused_until: Option<Instant>,
    next_id: u64,
    /// How many proven credentials there are: nothing is kept back for nobody.
    proven: u32,
    /// How long sign-ins take, lately: a permit comes back so much later than a window after it left.
    latency: Duration,
}

#[derive(Debug)]
struct Spent {
    id: u64,
    share: Share,
    left: Instant,
    /// `None` while the sign-in is under way.
    back_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<T> {
    id: u64,
    wish: Wish,
    ticket: T,
}

/// Those who take turns with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Taker {
    Proven(IdentifierKey),
    Source(Option<u64>),
    Unproven(Option<u64>, IdentifierKey),
}

/// A turn that has come.
#[derive(Debug)]
pub(super) struct Turn<T> {
    pub(super) id: u64,
    pub(super) wish: Wish,
    pub(super) ticket: T,
}

impl<T> Turns<T> {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            spent: Vec::new(),
            waiting: VecDeque::new(),
            under_way: HashSet::new(),
            last_turn: HashMap::new(),
            paused_until: None,
            next_id: 0,
            proven: 0,
            latency: FIRST_LATENCY,
        }
    }

    /// Joins the queue; an error is the earliest turn, where that is too late or there is no place.
    pub(super) fn join(&mut self, wish: Wish, ticket: T, now: Instant) -> Result<u64, Instant> {
        self.forget_returned(now);
        let earliest = self.earliest(wish, now);
        if self.is_paused(now) || earliest.saturating_duration_since(now) > wish.patience(self.budget) {
            return Err(earliest);
        }
        // Each share has a queue of its own: a crowd in one is no reason to send the other away.
        let is_alike = |it: &Wish| it.share == wish.share && it.renewal.is_some() == wish.renewal.is_some();
        let queued = self.waiting.iter().filter(|waiting| is_alike(&waiting.wish)).count();
        if queued >= self.budget.queue && !self.make_room(wish) {
            return Err(earliest);
        }
        let id = self.new_id();
        self.waiting.push_back(Waiting { id, wish, ticket });
        Ok(id)
    }

    /// Leaves the queue; false for who isn't in it any more.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        let at = self.waiting.iter().position(|waiting| waiting.id == id);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// Nobody waits any more: their tickets.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.waiting.drain(..).map(|waiting| waiting.ticket).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next turn that can be had now, taken.
    pub(super) fn next(&mut self, now: Instant) -> Option<Turn<T>> {
        self.forget_returned(now);
        let Waiting { wish, ticket, .. } = self.waiting.remove(self.whose(now)?)?;
        let id = self.new_id();
        self.spent.push(Spent { id, share: wish.share, left: now, back_at: None });
        self.under_way.insert(wish.identifier);
        self.had_turn(wish, id);
        Some(Turn { id, wish, ticket })
    }

    /// The permit of a turn comes back: then, or at once where it was never used.
    pub(super) fn put_back(&mut self, id: u64, identifier: IdentifierKey, back_at: Option<Instant>) {
        self.under_way.remove(&identifier);
        match back_at {
            Some(at) => {
                if let Some(spent) = self.spent.iter_mut().find(|spent| spent.id == id) {
                    spent.back_at = Some(at);
                    let window = self.budget.sign_ins.map_or(Duration::ZERO, |(_, window)| window);
                    let took = at.saturating_duration_since(spent.left).saturating_sub(window);
                    self.latency = (3 * self.latency + took) / 4;
                }
            }
            None => self.spent.retain(|spent| spent.id != id),
        }
    }

    /// A permit counts with the proven from now on.
    pub(super) fn proved(&mut self, id: u64) {
        if let Some(spent) = self.spent.iter_mut().find(|spent| spent.id == id) {
            spent.share = Share::Proven;
        }
    }

    pub(super) fn set_proven(&mut self, proven: u32) {
        self.proven = proven;
    }

    /// Whether Clerk has asked for a pause that is too long to wait through: it may be followed by another.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now + SHORT_PAUSE)
    }

    pub(super) fn pause_until(&mut self, until: Instant) {
        self.paused_until = Some(self.paused_until.map_or(until, |set| set.max(until)));
    }

    /// When something changes by itself: a permit comes back, a pause ends.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let back = self.spent.iter().filter_map(|spent| spent.back_at);
        back.chain(self.paused_until).filter(|at| *at > now).min()
    }

    /// When one who has waited in vain should come back: by the permits of its own share.
    pub(super) fn next_chance(&self, wish: Wish, now: Instant) -> Instant {
        let lanes = self.unproven_lanes();
        let unproven = || self.spent.iter().filter(|spent| spent.share == Share::Unproven);
        if wish.share == Share::Proven || unproven().count() < lanes {
            return self.earliest(wish, now);
        }
        self.turn_after(unproven(), lanes, wish, now)
    }

    /// When one who comes now could have its turn at the earliest: if all who are ahead turn out to be right, so that
    /// the whole budget is theirs, and what is under way is answered as fast as others were lately.
    fn earliest(&self, wish: Wish, now: Instant) -> Instant {
        let lanes = self.budget.sign_ins.map_or(0, |(limit, _)| limit as usize);
        self.turn_after(self.spent.iter(), lanes, wish, now)
    }

    /// `spent` are the permits that it can have when they return, `lanes` how many there are of these in all.
    fn turn_after<'s>(
        &self,
        spent: impl Iterator<Item = &'s Spent>,
        lanes: usize,
        wish: Wish,
        now: Instant,
    ) -> Instant {
        let from = self.paused_until.map_or(now, |until| until.max(now));
        let Some((_, window)) = self.budget.sign_ins else { return from };
        let answered = |spent: &Spent| (spent.left + self.latency).max(now);
        let mut back: Vec<Instant> =
            spent.map(|spent| spent.back_at.unwrap_or_else(|| answered(spent) + window)).collect();
        back.sort_unstable();
        let (lanes, ahead) = (lanes.max(1), self.ahead_of(wish));
        let free = lanes.saturating_sub(back.len());
        if ahead < free {
            return from;
        }
        let behind = ahead - free;
        let rounds = u32::try_from(behind / lanes).unwrap_or(u32::MAX);
        let at = back.get(behind % lanes).copied().unwrap_or(now + window);
        at.max(from) + window.saturating_mul(rounds)
    }

    /// How many have their turn before one who comes now. In turns, nobody is before it more often than it is itself:
    /// who fills the queue is ahead by one, not by all that it has put there.
    fn ahead_of(&self, wish: Wish) -> usize {
        let of = |share| self.waiting.iter().map(|waiting| waiting.wish).filter(move |it| it.share == share);
        if wish.share == Share::Proven {
            let before = |it: &Wish| it.renewal.is_none() || wish.renewal.is_some();
            return in_turns(of(Share::Proven).filter(before).map(|it| it.identifier), wish.identifier);
        }
        let own = of(Share::Unproven).filter(|it| it.source == wish.source).map(|it| it.identifier);
        let own = in_turns(own, wish.identifier);
        let mut others: HashMap<Option<u64>, usize> = HashMap::new();
        for other in of(Share::Unproven).filter(|it| it.source != wish.source) {
            *others.entry(other.source).or_default() += 1;
        }
        let others: usize = others.into_values().map(|count| count.min(own + 1)).sum();
        of(Share::Proven).count() + own + others
    }

    /// Makes room in a full queue for a source with little there, at the cost of the one with most.
    fn make_room(&mut self, wish: Wish) -> bool {
        let mut counts: HashMap<Option<u64>, usize> = HashMap::new();
        for waiting in self.waiting.iter().filter(|waiting| waiting.wish.share == Share::Unproven) {
            *counts.entry(waiting.wish.source).or_default() += 1;
        }
        let own = counts.get(&wish.source).copied().unwrap_or(0);
        let Some((greediest, most)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            return false;
        };
        if wish.share == Share::Proven || most <= own + 1 {
            return false;
        }
        let is_greedy = |it: &Wish| it.share == Share::Unproven && it.source == greediest;
        let newest = self.waiting.iter().rposition(|waiting| is_greedy(&waiting.wish));
        newest.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// The proven first, then the others, each turn by turn.
    fn whose(&self, now: Instant) -> Option<usize> {
        if self.paused_until.is_some_and(|until| until > now) {
            return None;
        }
        let mut unproven_may = true;
        if let Some((limit, _)) = self.budget.sign_ins {
            if self.spent.len() >= limit as usize {
                return None;
            }
            let unproven = self.spent.iter().filter(|spent| spent.share == Share::Unproven).count();
            unproven_may = unproven < self.unproven_lanes();
        }
        let turn = |taker| self.last_turn.get(&taker).copied().unwrap_or(0);
        let first = |share: Share, renewals: bool| {
            let may = |waiting: &Waiting<T>| {
                waiting.wish.share == share
                    && (renewals || waiting.wish.renewal.is_none())
                    && !self.under_way.contains(&waiting.wish.identifier)
            };
            let waiting = self.waiting.iter().enumerate().filter(|(_, waiting)| may(waiting));
            waiting.min_by_key(|(_, Waiting { wish, .. })| wish.takers().map(turn)).map(|(at, _)| at)
        };
        first(Share::Proven, false)
            .or_else(|| first(Share::Proven, true))
            .or_else(|| first(Share::Unproven, true).filter(|_| unproven_may))
    }

    fn had_turn(&mut self, wish: Wish, turn: u64) {
        for taker in wish.takers() {
            self.last_turn.insert(taker, turn);
        }
        // Under a flood the queue is never empty, so those who don't wait any more are cleared out here.
        if self.last_turn.len() > 8 * self.waiting.len().max(128) {
            let waiting: HashSet<Taker> =
                self.waiting.iter().flat_map(|waiting| waiting.wish.takers()).collect();
            self.last_turn.retain(|taker, _| waiting.contains(taker));
        }
    }

    fn forget_returned(&mut self, now: Instant) {
        self.spent.retain(|spent| spent.back_at.is_none_or(|at| at > now));
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        if self.waiting.is_empty() {
            self.last_turn.clear();
        }
    }

    /// What the proven leave to the others: they are kept three of five, as soon as there are so many of them.
    fn unproven_lanes(&self) -> usize {
        let limit = self.budget.sign_ins.map_or(0, |(limit, _)| limit);
        (limit - (limit / 5 * 3 + limit % 5 * 3 / 5).min(self.proven)) as usize
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

#[cfg(test)]
impl<T> Turns<T> {
    /// Whether all is put back, and nobody is remembered.
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

impl Wish {
    /// How long it waits for its turn at most.
    pub(super) fn patience(&self, budget: Budget) -> Duration {
        self.renewal.unwrap_or(budget.wait)
    }

    /// As whom it takes turns: first with whom, then within.
    fn takers(&self) -> [Taker; 2] {
        match self.share {
            Share::Proven => [Taker::Proven(self.identifier); 2],
            Share::Unproven => [Taker::Source(self.source), Taker::Unproven(self.source, self.identifier)],
        }
    }
}

/// How many of these come before one more of `own`, if each identifier has a turn after the other.
fn in_turns(waiting: impl Iterator<Item = IdentifierKey>, own: IdentifierKey) -> usize {
    let mut counts: HashMap<IdentifierKey, usize> = HashMap::new();
    for identifier in waiting {
        *counts.entry(identifier).or_default() += 1;
    }
    let mine = counts.remove(&own).unwrap_or(0);
    mine + counts.into_values().map(|count| count.min(mine + 1)).sum::<usize>()
}
