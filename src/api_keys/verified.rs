//! The verified API keys: a moka cache apart from the sessions, so that neither pushes the other out (rule T5).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::key::ClerkApiKey;
use super::revocations::KeyRevocations;
use super::settings::ApiKeys;
use crate::key::{CredentialKey, PassThrough};
use crate::membership::Membership;
use crate::scope::OrganizationName;

/// Proven keys per key that the engine can hold, as for passwords (rule K13).
const PROVEN_PER_KEY: u64 = 4;

/// How long a key counts as proven, as for passwords (rule K13).
const PROVEN_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The organization that a request asks for, from the layer or its selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedOrganization {
    /// The layer asks for none, and its handler sees whose key it is.
    Any,
    /// The selector says that the request is for a personal account, so it is not for an organization's key.
    Personal,
    Named(OrganizationName),
}

/// The facts that have to be known of a key before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// That its user is neither banned nor gone, or that its organization exists.
    pub(crate) subject: bool,
    /// That the creator of an organization's key is still a member.
    pub(crate) creator: bool,
    /// The organizations of its user, or the slug of its organization.
    pub(crate) memberships: bool,
}

impl Needs {
    pub(crate) fn of(keys: &ApiKeys, wanted: &WantedOrganization) -> Self {
        let is_named = |wanted: &WantedOrganization| {
            matches!(wanted, WantedOrganization::Named(OrganizationName::Id(_) | OrganizationName::Slug(_)))
        };
        Self { subject: keys.checks_subject(), creator: keys.checks_creator(), memberships: is_named(wanted) }
    }
}

/// A verified key.
#[derive(Debug)]
pub(crate) struct VerifiedKey {
    pub(crate) key: ClerkApiKey,
    /// The facts that were looked up beside the key.
    pub(crate) known: Needs,
    /// When the verification left.
    pub(crate) at: Instant,
    /// When the key expires.
    pub(crate) end: Option<Instant>,
    /// The generation of revocations that the verification started in.
    pub(crate) since: u64,
    /// The generation that it was last compared in.
    checked: AtomicU64,
}

impl VerifiedKey {
    pub(crate) fn new(key: ClerkApiKey, known: Needs, at: Instant, end: Option<Instant>, since: u64) -> Self {
        Self { key, known, at, end, since, checked: AtomicU64::new(since) }
    }

    /// Whether everything that a request needs to know of the key is known.
    pub(crate) fn covers(&self, needs: Needs) -> bool {
        let Needs { subject, creator, memberships } = self.known;
        (subject || !needs.subject) && (creator || !needs.creator) && (memberships || !needs.memberships)
    }

    /// Whether a revocation since the verification concerns the key. One load, unless there was one since the last call.
    pub(crate) fn is_void(&self, revocations: &KeyRevocations) -> bool {
        // Read before the comparison: a revocation that comes in between has a later generation.
        let generation = revocations.generation();
        if self.checked.load(Ordering::Relaxed) == generation {
            return false;
        }
        let organizations = self.key.memberships().unwrap_or_default().iter().map(|it| &*it.id);
        let own = [Some(self.key.id()), Some(self.key.subject()), self.key.created_by()];
        let is_void = revocations.void(self.since, own.into_iter().flatten().chain(organizations));
        if !is_void {
            self.checked.store(generation, Ordering::Relaxed);
        }
        is_void
    }

    /// The key for a request, or `None` if the organization is not one of its own.
    pub(crate) fn for_organization(&self, wanted: &WantedOrganization) -> Option<ClerkApiKey> {
        let key = &self.key;
        let name = match wanted {
            WantedOrganization::Any => return Some(key.clone()),
            WantedOrganization::Personal => return (!key.is_of_organization()).then(|| key.clone()),
            WantedOrganization::Named(name) => name,
        };
        let place = Membership::place(key.memberships()?, name)?;
        Some(key.within(place))
    }
}

/// The verified keys of one engine. Only verified ones get in, so no made-up key pushes one out.
pub(crate) struct VerifiedKeys(Cache<CredentialKey, Arc<VerifiedKey>, PassThrough>);

impl VerifiedKeys {
    pub(crate) fn new(most: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(most)
            // As for the sessions: with moka's default policy, a warm full cache throws each new entry out at once.
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self(cache)
    }

    /// The key, if it was verified within this time and has not expired.
    pub(crate) fn get(&self, key: &CredentialKey, ttl: Duration, now: Instant) -> Option<Arc<VerifiedKey>> {
        let verified = self.0.get(key)?;
        let is_good =
            now.saturating_duration_since(verified.at) < ttl && verified.end.is_none_or(|end| now < end);
        is_good.then_some(verified)
    }

    pub(crate) fn insert(&self, key: CredentialKey, verified: Arc<VerifiedKey>) {
        self.0.insert(key, verified);
    }

    pub(crate) fn remove(&self, key: &CredentialKey) {
        self.0.invalidate(key);
    }

    pub(crate) fn clear(&self) {
        self.0.invalidate_all();
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

/// The keys that Clerk has accepted before, whose verifications go first (rule T5).
///
/// A revocation doesn't concern them: they only say who is asked about first, and a refusal takes that away.
pub(crate) struct ProvenKeys(Cache<CredentialKey, Instant, PassThrough>);

impl ProvenKeys {
    pub(crate) fn new(most: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(most.saturating_mul(PROVEN_PER_KEY))
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self(cache)
    }

    pub(crate) fn insert(&self, key: CredentialKey, now: Instant) {
        self.0.insert(key, now);
    }

    pub(crate) fn contains(&self, key: &CredentialKey, now: Instant) -> bool {
        self.0.get(key).is_some_and(|at| now.saturating_duration_since(at) < PROVEN_FOR)
    }

    pub(crate) fn remove(&self, key: &CredentialKey) {
        self.0.invalidate(key);
    }

    pub(crate) fn clear(&self) {
        self.0.invalidate_all();
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}
