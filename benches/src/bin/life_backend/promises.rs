//! The promises that an engine keeps under load.

use tower_clerk::stats::{Outcome, Stats};

use super::users::Seen;
use super::watch::Watched;

/// The broken promises so far.
#[derive(Default)]
pub(super) struct Promises {
    /// The part of the simulation that runs.
    pub(super) part: String,
    pub(super) broken: Vec<String>,
}

impl Promises {
    pub(super) fn require(&mut self, holds: bool, what: &str) {
        if !holds {
            self.broken.push(format!("{}: {what}", self.part));
        }
    }

    /// Requires what an engine's users must see under any load.
    pub(super) fn require_quiet_users(&mut self, life: &str, seen: &Seen, stats: &Stats, watched: &Watched) {
        let mut require = |holds, what: &str| self.require(holds, &format!("{life}: {what}"));
        let warm = seen.warm();
        require(warm.is_some(), "every user is let in once");
        let open = watched.sign_in_circuit_open + watched.mint_circuit_open;
        require(open == 0, "no circuit opens, as Clerk is never away");
        let Some((_, then)) = warm else { return };
        let of = |stats: &Stats| stats.count(Outcome::SignedIn) + stats.count(Outcome::Joined);
        require(of(stats) == of(&then), "after the warm-up, no request waits for a sign-in");
        require(of(&then) <= seen.first(), "after a user's first, no request waits for a sign-in");
        require(seen.late().refused.is_empty(), "after the warm-up, no request is refused");
        require(seen.early().refused.is_empty(), "after a user's first, no request is refused");
        let limited: u64 = stats
            .upstream
            .iter()
            .filter(|calls| calls.result == "rate_limited")
            .map(|calls| calls.count)
            .sum();
        require(limited == 0, "no call is answered 429");
        // Aborted requests count as cancelled, and the users don't count them.
        let done = stats.total() - stats.count(Outcome::Cancelled);
        require(done == seen.requests(), "outcomes add up to requests");
    }
}
