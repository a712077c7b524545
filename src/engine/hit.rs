//! The hit path: a request that is served from memory.

use std::sync::Arc;

use tokio::time::Instant;

use super::Clerk;
use crate::access::Access;
use crate::counters::Outcome;
use crate::key::CredentialKey;
use crate::session::ClerkSession;
use crate::sessions::Proof;
use crate::sync::stripe;

/// A hit.
pub(crate) struct Hit {
    pub(crate) session: ClerkSession,
    /// A proof that is due for renewal, which takes the password.
    pub(crate) proof_due: Option<Arc<Proof>>,
}

impl Clerk {
    /// The hit path: the session, if it is live and has a good token for this access.
    ///
    /// A token that is due is renewed in the background. A proof that is due is returned, since its renewal takes the
    /// password, which only the caller can decode.
    pub(crate) fn held(&self, key: &CredentialKey, access: &Access) -> Option<Hit> {
        let (now, stripe) = (self.0.clock.now(), stripe());
        let hit = match self.0.sign_ins.sessions.hot(stripe, key, access, now) {
            Some(session) => Hit { session, proof_due: None },
            None => self.held_in_cache(key, access, now)?,
        };
        self.0.outcomes.count_on(stripe, Outcome::Hit);
        Some(hit)
    }

    fn held_in_cache(&self, key: &CredentialKey, access: &Access, now: Instant) -> Option<Hit> {
        let sessions = &self.0.sign_ins.sessions;
        let proof = sessions.get(key, now)?;
        let (session, token_due) = proof.holding.tokens.good(access, now)?;
        if token_due {
            self.renew_token(&proof.holding, access, now);
        }
        let session = proof.vouch_for(session);
        let is_due = proof.renewal.is_open(now) && proof.renewal.pass(now);
        // After the gates were passed, which the copy doesn't look at.
        sessions.offer(&proof, access, now);
        Some(Hit { session, proof_due: is_due.then_some(proof) })
    }
}
