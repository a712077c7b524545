//! Renewals of tokens and proofs before they expire, in the background of the requests that use them (rules K3, K12).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use crate::access::Access;
use crate::credentials::Credentials;
use crate::engine::sign_in::{Attempt, PROOF_RENEWAL_PAUSE};
use crate::flight::{Join, Priority};
use crate::limits::{CallKind, RENEWAL_PAUSE};
use crate::provider::MintError;
use crate::sessions::{Holding, Proof};

impl Clerk {
    /// Mints the next token of this scope while the held one is still good.
    pub(super) fn renew_token(&self, holding: &Arc<Holding>, access: &Access, last_use: Instant) {
        // The held token is no substitute for the next one, hence `None`. Whether this call starts the flight or joins
        // it, it has closed the renewal gate, so it must open the gate again if the mint fails.
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
                    // `Tokens::put` keeps the held token if the new one is staler.
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
                // The user has left the organization since the held token was minted.
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

    /// Proves the password of a live proof again, in a sign-in flight of its credential. The session keeps serving
    /// requests in the meantime.
    pub(crate) fn renew_proof(&self, proof: &Arc<Proof>, credentials: Credentials) {
        let key = proof.key;
        let renewed = Arc::clone(proof);
        let join = self.0.sign_in_flights.join(
            key,
            Priority::Background,
            || None,
            |waiters| {
                let sign_ins = Arc::clone(&self.0.sign_ins);
                let attempt = Attempt::new(key, credentials, None, None, sign_ins.forgiven.now());
                let api = sign_ins.provider.api().name();
                let session = renewed.holding.session();
                let span = tracing::debug_span!("renew_proof", session_id = &*session.id, api);
                async move { sign_ins.renew_proof(attempt, &renewed, &waiters.start()).await }
                    .instrument(span)
            },
        );
        // A renewal reopens the gate at its end. If this call has started none, the gate must be reopened here.
        if !matches!(join, Join::Waiter(_, true)) {
            proof.renewal.open_at(self.0.clock.now() + PROOF_RENEWAL_PAUSE);
        }
    }
}
