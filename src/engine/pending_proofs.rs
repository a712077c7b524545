//! Proven passwords that wait for a session (rule K13).
//!
//! With the Backend API, the password is proven first. A sign-in then opens the session, and may have to wait for a
//! permit of a much smaller budget. A request that is rejected in between must not prove its password again on each
//! retry: after a cold start with thousands of users, such proofs would be most of the calls to Clerk.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::sessions::User;

/// How long a pending proof is valid. It is longer than the waits that `Retry-After` usually asks for, and short,
/// because the proof that it becomes counts from the same instant.
pub(super) const LIFE: Duration = Duration::from_secs(5 * 60);

/// Pending proofs per engine (rule K7).
const MAX_PROOFS: u64 = 10_000;

/// A password that Clerk has accepted, without a session so far.
#[derive(Debug)]
pub(crate) struct PendingProof {
    pub(crate) user: Arc<User>,
    pub(crate) identifiers: Vec<String>,
    pub(crate) at: Instant,
    /// The user's revocations so far. The tombstones don't do: a proof may wait for longer than they last.
    revocations: u64,
}

impl PendingProof {
    pub(crate) fn new(user: Arc<User>, identifiers: Vec<String>, at: Instant) -> Self {
        let revocations = user.revocations();
        Self { user, identifiers, at, revocations }
    }

    fn is_valid(&self) -> bool {
        self.revocations == self.user.revocations() && !self.user.has_expired(self.at)
    }
}

/// The pending proofs of one engine. They hold credential keys, users and identifiers, and no secrets.
pub(crate) struct PendingProofs {
    proofs: Cache<CredentialKey, Arc<PendingProof>, PassThrough>,
    life: Duration,
}

impl PendingProofs {
    pub(crate) fn new(session_ttl: Duration) -> Self {
        let proofs = Cache::builder()
            .max_capacity(MAX_PROOFS)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { proofs, life: LIFE.min(session_ttl / 2) }
    }

    /// Removes and returns a valid proof. The caller puts it back if opening the session fails again.
    pub(crate) fn take(&self, key: &CredentialKey, now: Instant) -> Option<Arc<PendingProof>> {
        let proof = self.proofs.remove(key)?;
        (now.saturating_duration_since(proof.at) < self.life && proof.is_valid()).then_some(proof)
    }

    pub(crate) fn put(&self, key: CredentialKey, proof: PendingProof) {
        self.proofs.insert(key, Arc::new(proof));
    }

    pub(crate) fn forget_all(&self) {
        self.proofs.invalidate_all();
    }
}
