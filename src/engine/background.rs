//! What is renewed ahead of its end, begun by the requests that use it (rules K3, K12). Nobody waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use crate::access::Access;
use crate::credentials::Credentials;
use crate::engine::sign_in::Attempt;
use crate::flight::{Join, Purpose};
use crate::limits::{CallKind, RENEWAL_PAUSE};
use crate::provider::MintFault;
use crate::sessions::{Holding, Proof};

impl Clerk {
    /// Mints the next token of this kind while the one that is held still serves.
    pub(super) fn renew_token(&self, holding: &Arc<Holding>, access: &Access, last_use: Instant) {
        // No outcome of before will do: this is about the next token.
        // Led by another or not: the turnstile has closed behind this one, which has to see to the next try.
        let Join::Seat(seat, _) = self.0.join_mint(holding, access, last_use, || None) else {
            self.retry_renewal(holding, access, RENEWAL_PAUSE);
            return;
        };
        let (weak, holding, access) = (Arc::downgrade(&self.0), Arc::clone(holding), access.clone());
        tokio::spawn(async move {
            let minted = seat.outcome().await.unwrap_or_else(|_| Err(MintFault::lost("mint_lost")));
            let Some(engine) = weak.upgrade() else { return };
            let clerk = Self(engine);
            let fault = match minted {
                Ok(token) => {
                    // One that came out staler than the one at hand has not taken its place.
                    if holding.tokens.held(&access).is_some_and(|held| !Arc::ptr_eq(&held, &token)) {
                        clerk.retry_renewal(&holding, &access, RENEWAL_PAUSE);
                    }
                    return;
                }
                Err(fault) => fault,
            };
            match &fault {
                MintFault::Gone => clerk.0.sign_ins.void(&holding),
                MintFault::Refused(_) => {
                    let proofs = holding.user.proofs_on(&holding);
                    proofs.iter().for_each(|proof| clerk.0.sign_ins.expel(proof));
                }
                // The token at hand was for an organization that the user has left since.
                MintFault::Forbidden => holding.tokens.forget(&access),
                MintFault::Fault(fault) => {
                    clerk.retry_renewal(&holding, &access, CallKind::Renewal.pause(fault.retry_after));
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
            Purpose::Background,
            || None,
            |passengers| {
                let sign_ins = Arc::clone(&self.0.sign_ins);
                let attempt = Attempt::new(key, credentials, None, None);
                let road = sign_ins.road.name().name();
                let session = proof.holding.session();
                let span = tracing::debug_span!("renew_proof", session_id = &*session.id, road);
                async move { sign_ins.renew_proof(attempt, &proof, &passengers.departure()).await }
                    .instrument(span)
            },
        );
    }
}
