//! The earliest time at which a sign-in can start. It decides whether the sign-in joins the queue, and is told to one that
//! doesn't.

use std::collections::HashMap;

use tokio::time::Instant;

use super::fair_queue::{FairQueue, Spent};
use super::{PermitRequest, Share};
use crate::key::IdentifierKey;

impl FairQueue {
    /// When a request that has waited in vain should come back: by the permits of its own share.
    pub(super) fn next_in_share(&self, request: PermitRequest, now: Instant) -> Instant {
        let permits = self.unproven_permits();
        let untrusted = || self.spent.iter().filter(|spent| spent.share == Share::Untrusted);
        if request.share == Share::Trusted || untrusted().count() < permits {
            return self.earliest(request, now);
        }
        self.start_by(untrusted(), permits, request, now)
    }

    /// When a request that comes now could start at the earliest: if all that are ahead turn out to be right, so that the
    /// whole budget is theirs, and sign-ins under way are answered as fast as others were lately.
    pub(super) fn earliest(&self, request: PermitRequest, now: Instant) -> Instant {
        let permits = self.budget.sign_ins.map_or(0, |(limit, _)| limit as usize);
        self.start_by(self.spent.iter(), permits, request, now)
    }

    /// `spent` are the permits that it can have when they come back, `permits` how many there are of these in all.
    fn start_by<'s>(
        &self,
        spent: impl Iterator<Item = &'s Spent>,
        permits: usize,
        request: PermitRequest,
        now: Instant,
    ) -> Instant {
        let from = self.backoff.end(now).unwrap_or(now);
        let Some((_, window)) = self.budget.sign_ins else { return from };
        let answered = |spent: &Spent| (spent.started + self.latency).max(now);
        let mut back: Vec<Instant> =
            spent.map(|spent| spent.back_at.unwrap_or_else(|| answered(spent) + window)).collect();
        back.sort_unstable();
        let (permits, ahead) = (permits.max(1), self.ahead_of(request));
        let free = permits.saturating_sub(back.len());
        if ahead < free {
            return from;
        }
        let behind = ahead - free;
        let rounds = u32::try_from(behind / permits).unwrap_or(u32::MAX);
        let at = back.get(behind % permits).copied().unwrap_or(now + window);
        at.max(from) + window.saturating_mul(rounds)
    }

    /// How many start before a request that comes now. In turns, no taker is before it more often than its own is: a
    /// source that fills the queue is ahead by one, not by all that it has put there.
    fn ahead_of(&self, request: PermitRequest) -> usize {
        let of =
            |share| self.waiting.iter().map(|waiting| waiting.request).filter(move |it| it.share == share);
        if request.share == Share::Trusted {
            let before = |it: &PermitRequest| it.renewal.is_none() || request.renewal.is_some();
            return in_turns(of(Share::Trusted).filter(before).map(|it| it.identifier), request.identifier);
        }
        let own = of(Share::Untrusted).filter(|it| it.source == request.source).map(|it| it.identifier);
        let own = in_turns(own, request.identifier);
        let mut others: HashMap<Option<u64>, usize> = HashMap::new();
        for other in of(Share::Untrusted).filter(|it| it.source != request.source) {
            *others.entry(other.source).or_default() += 1;
        }
        let others: usize = others.into_values().map(|count| count.min(own + 1)).sum();
        of(Share::Trusted).count() + own + others
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
