//! The way of a miss: a sign-in where there is no live session, then a token where there is no good one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::deadline::Deadline;
use super::{Clerk, Inner};
use crate::access::Access;
use crate::clerk_api::ErrorClass;
use crate::counters::Outcome;
use crate::credentials::Credentials;
use crate::engine::rejections::{from_mint_error, unavailable};
use crate::engine::sign_in::{Attempt, SignInError, SignInOutcome};
use crate::flight::{Join, Priority};
use crate::key::CredentialKey;
use crate::provider::MintError;
use crate::rejection::{Rejection, RejectionKind};
use crate::scope::OrganizationName;
use crate::session::ClerkSession;
use crate::sessions::{Freshness, HeldToken, Holding, HoldingKey, Proof, ProofState, TokenRefusal};

const TOO_SHORT_LIVED: &str = "the tokens that Clerk issues live shorter than the least life asked of them: lower \
                               min_token_life, or raise the token lifetime in Clerk's dashboard";

impl Clerk {
    /// Asks Clerk for what isn't held, and counts how it ended.
    pub(crate) async fn exchange(
        &self,
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let attempt = Attempt::new(key, credentials, source, access.scope.organization.clone());
        // A session that is live already needs a token at most.
        let mut how = Outcome::Minted;
        let result = self.exchange_for(&attempt, access, &mut how).await;
        counted.outcome = match &result {
            Ok(_) => how,
            Err(_) if how == Outcome::Denied => Outcome::Denied,
            Err(rejection) => Outcome::of(rejection.kind()),
        };
        result
    }

    async fn exchange_for(
        &self,
        attempt: &Attempt,
        access: &Access,
        how: &mut Outcome,
    ) -> Result<ClerkSession, Rejection> {
        let inner = &self.0;
        if inner.sign_ins.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        if access.scope.organization == Some(OrganizationName::Malformed) {
            return Err(Rejection::new(RejectionKind::OrganizationForbidden));
        }
        let mut deadline = Deadline::new(inner.clock, &inner.settings);
        loop {
            let now = inner.clock.now();
            let (proof, end) = match inner.sign_ins.sessions.get(&attempt.key, now) {
                Some(proof) => (proof, deadline.end()),
                None => {
                    let outcome = self.sign_in(attempt, how, &deadline).await?;
                    deadline.has_followed(attempt.followed.load(Ordering::Relaxed));
                    match outcome.result {
                        Ok(proof) => (proof, deadline.within(outcome.deadline)),
                        Err(SignInError::Rejected(rejection)) => return Err(rejection),
                        // A revocation has come in between (rules S5, K9).
                        Err(SignInError::Superseded) if deadline.follow_up(outcome.deadline) => continue,
                        Err(SignInError::Superseded) => return Err(unavailable("revoked_meanwhile")),
                    }
                }
            };
            let holding = &proof.holding;
            let error = match tokio::time::timeout_at(end, inner.token(holding, access)).await {
                Ok(Ok(session)) if proof.state() == ProofState::Live => {
                    // Clients that call less often than tokens expire never hit the cache: their proof is renewed here.
                    if proof.renewal.is_open(now) && proof.renewal.pass(now) {
                        self.renew_proof(Arc::clone(&proof), attempt.credentials.clone());
                    }
                    if *how == Outcome::SignedIn
                        && let Some(token) = holding.tokens.held(access)
                    {
                        inner.keep_warm(holding, access, &token, now);
                    }
                    return Ok(session);
                }
                Ok(Ok(_)) => MintError::Superseded,
                Ok(Err(error)) => error,
                Err(_) => MintError::lost("timeout"),
            };
            match &error {
                // The user is signed in, but not for this organization: another session is opened for it.
                MintError::NoSession if deadline.follow_up(end) => {
                    let end = self.open_for(holding, access, end).await?;
                    deadline.continue_until(end);
                    continue;
                }
                // The password is at hand, so it may open another session (rule K4).
                MintError::Gone | MintError::Superseded if deadline.follow_up(end) => {
                    inner.drop_if_gone(&proof, &error);
                    continue;
                }
                _ => inner.drop_if_gone(&proof, &error),
            }
            let rejection = from_mint_error(&error);
            return Err(match &error {
                // Asked again sooner, it would be told the same from memory.
                MintError::Api(error) if error.class == ErrorClass::Unknown => {
                    rejection.retry_after_at_least(inner.settings.negative_ttl)
                }
                _ => rejection,
            });
        }
    }

    /// Signs in, or joins a sign-in that is under way.
    async fn sign_in(
        &self,
        attempt: &Attempt,
        how: &mut Outcome,
        deadline: &Deadline,
    ) -> Result<SignInOutcome, Rejection> {
        let inner = &self.0;
        if let Some(rejection) = inner.sign_ins.refused_already(attempt, inner.clock.now()) {
            *how = Outcome::Denied;
            return Err(rejection);
        }
        let already = || {
            let now = inner.clock.now();
            let proof = inner.sign_ins.sessions.get(&attempt.key, now)?;
            Some(SignInOutcome { result: Ok(proof), deadline: now + inner.settings.upstream_timeout })
        };
        let join = inner.sign_in_flights.join(attempt.key, Priority::Request, already, |waiters| {
            let attempt = Attempt { follows: deadline.follows(), ..attempt.again() };
            let sign_ins = Arc::clone(&inner.sign_ins);
            let span = tracing::debug_span!("sign_in", api = sign_ins.provider.api().name());
            async move { sign_ins.run(attempt, &waiters.start(), waiters.gone()).await }.instrument(span)
        });
        match join {
            Join::Ready(outcome) => Ok(outcome),
            Join::Waiter(waiter, led) => {
                *how = if led { Outcome::SignedIn } else { Outcome::Joined };
                match waiter.outcome_within(deadline.start_by(), deadline.after_start()).await {
                    Some(outcome) => outcome.map_err(|_| unavailable("sign_in_lost")),
                    None => Err(unavailable("timeout")),
                }
            }
            Join::Full => Err(Rejection::new(RejectionKind::UpstreamRateLimited)
                .retry_after_at_least(inner.settings.upstream_timeout)),
        }
    }
}

impl Inner {
    /// A token of this holding, minted where none is good.
    async fn token(
        self: &Arc<Self>,
        holding: &Arc<Holding>,
        access: &Access,
    ) -> Result<ClerkSession, MintError> {
        let now = self.clock.now();
        if let Some((session, due)) = holding.tokens.good(access, now, &self.sign_ins.revocations) {
            if due {
                Clerk(Arc::clone(self)).renew_token(holding, access, now);
            }
            return Ok(session);
        }
        let kind = &access.scope;
        if let Some(refused) = holding.refused(kind, now) {
            return Err(refused.into());
        }
        // A token just minted would live no longer: what is held tells as much without another mint.
        if let Some(held) = holding.tokens.held(access)
            && held.freshness(access, now) == Freshness::NeverGood
            && now.saturating_duration_since(held.minted_at()) < self.settings.negative_ttl
        {
            return Err(self.too_short_lived());
        }
        let good = || holding.tokens.good_as_is(access, self.clock.now(), &self.sign_ins.revocations).map(Ok);
        let join = self.join_mint(holding, access, now, good);
        let held = match join {
            Join::Ready(held) => held?,
            Join::Waiter(waiter, _) => {
                waiter.outcome().await.unwrap_or_else(|_| Err(MintError::lost("mint_lost")))?
            }
            Join::Full => return Err(MintError::lost("mints_full")),
        };
        match held.freshness(access, self.clock.now()) {
            Freshness::Good => Ok(held.session.clone()),
            Freshness::NeverGood => Err(self.too_short_lived()),
            // The answer took most of its life.
            Freshness::Stale => Err(MintError::lost("token_stale_on_arrival")),
        }
    }

    fn too_short_lived(&self) -> MintError {
        if self.sign_ins.warnings.is_due("min_token_life", self.clock.now()) {
            tracing::error!("{TOO_SHORT_LIVED}");
        }
        MintError::Misconfigured(TOO_SHORT_LIVED)
    }

    /// Joins the mint of this kind of token, or starts one.
    pub(super) fn join_mint(
        self: &Arc<Self>,
        holding: &Arc<Holding>,
        access: &Access,
        last_use: Instant,
        already: impl FnOnce() -> Option<Result<Arc<HeldToken>, MintError>>,
    ) -> Join<Result<Arc<HeldToken>, MintError>> {
        let key = (HoldingKey(Arc::clone(holding)), access.scope.clone());
        self.mint_flights.join(key, Priority::Request, already, |_| {
            let (engine, holding, access) = (Arc::clone(self), Arc::clone(holding), access.clone());
            let api = self.sign_ins.provider.api().name();
            let span = tracing::debug_span!("mint", session_id = &*holding.session().id, api);
            let mint = async move {
                let minted = engine.sign_ins.minter.mint(&holding, &access).await;
                if let Some(why) = minted.as_ref().err().and_then(MintError::lasting) {
                    match (why, &minted) {
                        (TokenRefusal::Misconfigured(what), _) => tracing::error!("{what}"),
                        (TokenRefusal::Unknown, Err(MintError::Api(error))) => {
                            engine.sign_ins.warn_of_unknown(error);
                        }
                        _ => {}
                    }
                    let now = engine.clock.now();
                    holding.refuse(access.scope.clone(), why, now, engine.settings.negative_ttl);
                }
                if let Ok(token) = &minted {
                    engine.keep_warm(&holding, &access, token, last_use);
                }
                minted
            };
            mint.instrument(span)
        })
    }

    /// Drops the proofs on a session that a mint has found to be over, or the one whose user Clerk refuses.
    fn drop_if_gone(&self, proof: &Arc<Proof>, error: &MintError) {
        match error {
            MintError::Gone => self.sign_ins.void(&proof.holding),
            MintError::Refused(_) => self.sign_ins.invalidate(proof),
            _ => {}
        }
    }
}

/// Counts a request's outcome, also when its future is dropped before there is one.
struct Counted<'a> {
    clerk: &'a Clerk,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.clerk.count(self.outcome);
    }
}
