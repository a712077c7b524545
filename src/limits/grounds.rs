//! The grounds of refusals that a change of the account lifts, while refusals on other grounds stay (rules K11, W5).

use std::sync::Mutex;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::denials::MAX_DENIALS;
use super::forgiven::Epoch;
use crate::key::IdentifierKey;
use crate::recent::{Event, Recent};
use crate::sync::lock;

/// Why a credential was refused, as far as it matters for lifting the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ground {
    /// The user is banned, deactivated or deprovisioned.
    Banned,
    /// Clerk has locked the account for a while.
    Locked,
    /// Clerk knows no such user, or doesn't tell whether it does.
    Unknown,
    /// The creator of an organization's API key is no member of the organization. It is of the creator's id.
    CreatorLeft,
    /// The password is wrong, or the user has to act first.
    Other,
}

/// When the refusals of an identifier on one ground were lifted last.
#[derive(Debug)]
pub(super) struct LiftedGrounds {
    /// Identifiers with a remembered refusal on the ground. A lift of any other identifier takes no room, so no flood of
    /// them can push these out. Of one that is pushed out all the same, the refusal is void, which costs one call.
    remembered: Cache<(IdentifierKey, Ground), Epoch>,
    /// For the sign-ins that are under way, whose refusals aren't remembered yet.
    recent: Mutex<Recent<(IdentifierKey, Ground)>>,
}

impl LiftedGrounds {
    /// `longest` is how long a sign-in can take.
    pub(super) fn new(longest: Duration) -> Self {
        let remembered =
            Cache::builder().max_capacity(MAX_DENIALS).eviction_policy(EvictionPolicy::lru()).build();
        Self { remembered, recent: Mutex::new(Recent::new(longest)) }
    }

    pub(super) fn lift(
        &self,
        identifier: IdentifierKey,
        ground: Ground,
        now: Instant,
        next: impl Fn() -> Epoch,
    ) {
        let (key, mut recent) = ((identifier, ground), lock(&self.recent));
        let epoch = next();
        recent.put(key, Event { generation: epoch.number(), at: now, value: () }, drop);
        // After that, so that `remember` finds the one or this finds the other.
        if self.remembered.contains_key(&key) {
            self.remembered.insert(key, epoch);
        }
    }

    /// Notes a refusal that is about to be remembered. Returns false if it was lifted while its sign-in was under way.
    pub(super) fn remember(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        let key = (identifier, ground);
        self.remembered.get_with(key, Epoch::default);
        !self.has_lifted(identifier, ground, since)
    }

    /// Whether refusals on this ground were lifted while a sign-in was under way that began at `since`.
    pub(super) fn has_lifted(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        lock(&self.recent).is_after(&(identifier, ground), since.number())
    }

    /// Whether a remembered refusal of a sign-in that began at `since` has been lifted.
    pub(super) fn is_void(&self, identifier: IdentifierKey, ground: Ground, since: Epoch) -> bool {
        self.remembered.get(&(identifier, ground)).is_none_or(|lifted| since < lifted)
    }
}
