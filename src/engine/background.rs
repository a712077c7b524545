//! What is renewed ahead of its end, begun by the requests that use it (rules K3, K12). Nobody waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use crate::access::Access;
use crate::credentials::Credentials;
use crate::engine::sign_in::Attempt;
use crate::flight::{Join, Priority};
use crate::limits::{CallKind, RENEWAL_PAUSE};
use crate::provider::MintError;
use crate::sessions::{Holding, Proof};

impl Clerk {
    /// Mints the next token of this kind while the one that is held still serves.
    pub(super) fn renew_token(&self, holding: &Arc<Holding>, access: &Access, last_use: Instant) {
        // No outcome of before will do: this is about the next token.
        // Led by another or not: the gate has closed behind this one, which has to see to the next try.
        let Join::Waiter(waiter, _) = self.0.join_mint(holding, access, last_use, || None) else {
            self.retry_renewal(holding, access, RENEWAL_PAUSE);
            return;
        };
        let (weak, holding, access) = (Arc::downgrade(&self.0), Arc::clone(holding), access.clone());
        tokio::spawn(async move {
            let minted = waiter.outcome().await.unwrap_or_else(|_| Err(MintError::lost("mint_lost")));
            let Some(engine) = weak.upgrade() else { return };
            let clerk = Self(engine);
            let error = match minted {
                Ok(token) => {
                    // One that came out staler than the one at hand has not taken its place.
                    if holding.tokens.held(&access).is_some_and(|held| !Arc::ptr_eq(&held, &token)) {
                        clerk.retry_renewal(&holding, &access, RENEWAL_PAUSE);
                    }
                    return;
                }
                Err(error) => error,
            };
            match &error {
                MintError::Gone => clerk.0.sign_ins.void(&holding),
                MintError::Refused(_) => {
                    let proofs = holding.user.proofs_on(&holding);
                    proofs.iter().for_each(|proof| clerk.0.sign_ins.invalidate(proof));
                }
                // The token at hand was for an organization that the user has left since.
                MintError::Forbidden => holding.tokens.forget(&access),
                MintError::Api(error) => {
                    clerk.retry_renewal(&holding, &access, CallKind::Renewal.pause(error.retry_after));
                }
                _ => clerk.retry_renewal(&holding, &access, RENEWAL_PAUSE),
            }
        });
    }

    fn retry_renewal(&self, holding: &Holding, access: &Access, pause: Duration) {
        if let Some(token) = holding.tokens.held(access) {
            let pause = self.0.sign_ins.jitter.later(pause, 0.5);
            token.renewal.open_at(self.0.clock.now() + pause);
        }
    }

    /// Proves the password of a live session anew, in the sign-in flight of its credential.
    pub(crate) fn renew_proof(&self, proof: Arc<Proof>, credentials: Credentials) {
        let key = proof.key;
        let _ = self.0.sign_in_flights.join(
            key,
            Priority::Background,
            || None,
            |waiters| {
                let sign_ins = Arc::clone(&self.0.sign_ins);
                let attempt = Attempt::new(key, credentials, None, None);
                let api = sign_ins.provider.api().name();
                let session = proof.holding.session();
                let span = tracing::debug_span!("renew_proof", session_id = &*session.id, api);
                async move { sign_ins.renew_proof(attempt, &proof, &waiters.start()).await }.instrument(span)
            },
        );
    }
}
