//! The cache miss: signs in if there is no live session, then mints a token if there is no good one.

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

const TOO_SHORT_LIVED: &str = "the lifetime of the tokens that Clerk issues is shorter than min_token_lifetime: lower \
                               min_token_lifetime, or raise the token lifetime in Clerk's dashboard";

impl Clerk {
    /// Exchanges credentials at Clerk for a session, and counts the outcome.
    pub(crate) async fn exchange(
        &self,
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let attempt = Attempt::new(key, credentials, source, access.scope.organization.clone());
        // The outcome unless a sign-in or a denial changes it: with a live session, the request needs a token at most.
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
            let Some((proof, end)) = self.find_or_sign_in(attempt, how, &mut deadline, now).await? else {
                continue;
            };
            match inner.token_for(&proof, access, end).await {
                Ok(session) => {
                    self.renew_ahead(attempt, &proof, access, *how, now);
                    return Ok(session);
                }
                Err(error) => {
                    if !self.recover(&error, &proof, access, end, &mut deadline).await? {
                        return Err(inner.rejection_of(&error));
                    }
                }
            }
        }
    }

    /// The live proof of the credential, from the cache or a sign-in, and the deadline for its token. `None` if a
    /// revocation superseded the sign-in and the request may sign in once more (rules S5, K9).
    async fn find_or_sign_in(
        &self,
        attempt: &Attempt,
        how: &mut Outcome,
        deadline: &mut Deadline,
        now: Instant,
    ) -> Result<Option<(Arc<Proof>, Instant)>, Rejection> {
        if let Some(proof) = self.0.sign_ins.sessions.get(&attempt.key, now) {
            return Ok(Some((proof, deadline.end())));
        }
        let outcome = self.sign_in(attempt, how, deadline).await?;
        deadline.has_followed(attempt.followed.load(Ordering::Relaxed));
        match outcome.result {
            Ok(proof) => Ok(Some((proof, deadline.within(outcome.deadline)))),
            Err(SignInError::Rejected(rejection)) => Err(rejection),
            Err(SignInError::Superseded) if deadline.follow_up(outcome.deadline) => Ok(None),
            Err(SignInError::Superseded) => Err(unavailable("revoked_meanwhile")),
        }
    }

    /// Starts background renewals after a request was served.
    fn renew_ahead(
        &self,
        attempt: &Attempt,
        proof: &Arc<Proof>,
        access: &Access,
        how: Outcome,
        now: Instant,
    ) {
        // A client that calls less often than its token expires never hits the cache, so its proof is renewed here.
        if proof.renewal.is_open(now) && proof.renewal.pass(now) {
            self.renew_proof(proof, attempt.credentials.clone());
        }
        // Each mint keeps its own token warm; a token that came with the sign-in has none to do so.
        if how == Outcome::SignedIn
            && let Some(token) = proof.holding.tokens.held(access)
        {
            self.0.keep_warm(&proof.holding, access, &token, now);
        }
    }

    /// Acts on a failed mint. Returns whether the request should try again: with a session for its organization, or
    /// with a new sign-in, for which its password is at hand (rule K4).
    async fn recover(
        &self,
        error: &MintError,
        proof: &Arc<Proof>,
        access: &Access,
        end: Instant,
        deadline: &mut Deadline,
    ) -> Result<bool, Rejection> {
        match error {
            MintError::NoSession if deadline.follow_up(end) => {
                let end = self.open_for(&proof.holding, access, end).await?;
                deadline.continue_until(end);
                Ok(true)
            }
            MintError::Gone | MintError::Superseded => {
                let may_retry = deadline.follow_up(end);
                self.0.drop_if_gone(proof, error);
                Ok(may_retry)
            }
            _ => {
                self.0.drop_if_gone(proof, error);
                Ok(false)
            }
        }
    }

    /// Signs in, or joins the sign-in flight of this credential.
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
    /// A token for this proof. Fails if `end` passes first, or if the proof is no longer live afterwards.
    async fn token_for(
        self: &Arc<Self>,
        proof: &Proof,
        access: &Access,
        end: Instant,
    ) -> Result<ClerkSession, MintError> {
        match tokio::time::timeout_at(end, self.token(&proof.holding, access)).await {
            Ok(Ok(session)) if proof.state() == ProofState::Live => Ok(session),
            Ok(Ok(_)) => Err(MintError::Superseded),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(MintError::lost("timeout")),
        }
    }

    /// A good token of this holding, held or newly minted.
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
        // A new token would have the same lifetime. The held one is recent enough to conclude that without another
        // mint.
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
            // The answer took most of the token's lifetime.
            Freshness::Stale => Err(MintError::lost("token_stale_on_arrival")),
        }
    }

    fn too_short_lived(&self) -> MintError {
        if self.sign_ins.warnings.is_due("min_token_lifetime", self.clock.now()) {
            tracing::error!("{TOO_SHORT_LIVED}");
        }
        MintError::Misconfigured(TOO_SHORT_LIVED)
    }

    /// Joins the mint flight of this holding and scope, or starts one.
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
                match &minted {
                    Ok(token) => engine.keep_warm(&holding, &access, token, last_use),
                    Err(error) => engine.remember_refusal(&holding, &access, error),
                }
                minted
            };
            mint.instrument(span)
        })
    }

    /// Remembers a refusal that another mint would only repeat, and logs it if the operator can act on it.
    fn remember_refusal(&self, holding: &Holding, access: &Access, error: &MintError) {
        let Some(refusal) = error.lasting() else { return };
        match (refusal, error) {
            (TokenRefusal::Misconfigured(advice), _) => tracing::error!("{advice}"),
            (TokenRefusal::Unknown, MintError::Api(error)) => self.sign_ins.warn_of_unknown(error),
            _ => {}
        }
        holding.refuse(access.scope.clone(), refusal, self.clock.now(), self.settings.negative_ttl);
    }

    fn rejection_of(&self, error: &MintError) -> Rejection {
        let rejection = from_mint_error(error);
        match error {
            // The refusal is remembered for `negative_ttl`, so an earlier retry would get the same answer.
            MintError::Api(error) if error.class == ErrorClass::Unknown => {
                rejection.retry_after_at_least(self.settings.negative_ttl)
            }
            _ => rejection,
        }
    }

    /// Drops all proofs of a holding whose session is gone, or this one proof if Clerk refused the user.
    fn drop_if_gone(&self, proof: &Arc<Proof>, error: &MintError) {
        match error {
            MintError::Gone => self.sign_ins.void(&proof.holding),
            MintError::Refused(_) => self.sign_ins.invalidate(proof),
            _ => {}
        }
    }
}

/// Counts a request's outcome when dropped, so that a cancelled request is counted too.
struct Counted<'a> {
    clerk: &'a Clerk,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.clerk.count(self.outcome);
    }
}
