//! Proofs of passwords that stand until a session can be opened for them.
//!
//! On the Backend API a password is proven first, and then a sign-in opens the session, which may have to wait for
//! its turn in a far smaller budget. Who is sent away meanwhile must not have to prove the password anew each time: after
//! a cold start of thousands of users that would be most of what Clerk is asked.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::sessions::Generation;

/// How long such a proof stands: longer than anybody is told to wait. It counts from there for the session, too.
const STANDS: Duration = Duration::from_secs(5 * 60);

/// How many are kept (rule K7).
const MOST: u64 = 10_000;

/// A password that was right a moment ago.
#[derive(Debug)]
pub(crate) struct PendingProof {
    pub(crate) user_id: Box<str>,
    pub(crate) identifiers: Vec<String>,
    pub(crate) at: Instant,
    /// A revocation since then voids it, when its session is stored.
    pub(crate) since: Generation,
}

/// The standing proofs of one engine. No secrets: keys, users and what they go by.
pub(crate) struct PendingProofs {
    proofs: Cache<CredentialKey, Arc<PendingProof>, PassThrough>,
    stands: Duration,
}

impl PendingProofs {
    pub(crate) fn new(session_ttl: Duration) -> Self {
        let proofs = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { proofs, stands: STANDS.min(session_ttl / 2) }
    }

    /// Takes it: it is put back if it comes to nothing again.
    pub(crate) fn take(&self, key: &CredentialKey, now: Instant) -> Option<Arc<PendingProof>> {
        self.proofs.remove(key).filter(|proof| now.saturating_duration_since(proof.at) < self.stands)
    }

    pub(crate) fn put(&self, key: CredentialKey, proof: PendingProof) {
        self.proofs.insert(key, Arc::new(proof));
    }

    pub(crate) fn forget_all(&self) {
        self.proofs.invalidate_all();
    }
}
