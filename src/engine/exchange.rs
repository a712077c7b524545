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
use crate::sessions::{Proof, ProofState};

impl Clerk {
    /// Exchanges credentials at Clerk for a session, and counts the outcome.
    pub(crate) async fn exchange_credentials(
        &self,
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        // No session is opened for an organization that the layer doesn't serve.
        let organization =
            access.scope.organization.clone().filter(|name| *name != OrganizationName::Unlisted);
        let since = self.0.sign_ins.forgiven.now();
        let attempt = Attempt::new(key, credentials, source, organization, since);
        // The outcome unless a sign-in or a denial changes it: with a live session, the request needs a token at most.
        let mut how = Outcome::Minted;
        let span = tracing::debug_span!("exchange", api = self.0.sign_ins.provider.api().name());
        let result = self.exchange_for(&attempt, access, &mut how).instrument(span).await;
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
        if outcome.is_adopted {
            *how = Outcome::Minted;
        }
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
    pub(super) async fn recover(
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
        let refused = inner.sign_ins.refused_already(attempt, inner.clock.now());
        if let Some(rejection) = attempt.waited.during(refused).await {
            *how = Outcome::Denied;
            return Err(rejection);
        }
        let already = || {
            let now = inner.clock.now();
            let proof = inner.sign_ins.sessions.get(&attempt.key, now)?;
            let deadline = now + inner.settings.upstream_timeout;
            Some(SignInOutcome { result: Ok(proof), deadline, is_adopted: false })
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
                .with_retry_after(inner.settings.upstream_timeout)),
        }
    }
}

impl Inner {
    /// A token for this proof. Fails if `end` passes first, or if the proof is no longer live afterwards.
    pub(super) async fn token_for(
        self: &Arc<Self>,
        proof: &Proof,
        access: &Access,
        end: Instant,
    ) -> Result<ClerkSession, MintError> {
        if access.scope.organization == Some(OrganizationName::Unlisted) {
            let is_live = proof.state() == ProofState::Live;
            return Err(if is_live { MintError::Forbidden } else { MintError::Superseded });
        }
        match tokio::time::timeout_at(end, self.token(&proof.holding, access)).await {
            Ok(Ok(session)) if proof.state() == ProofState::Live => Ok(proof.vouch_for(session)),
            Ok(Ok(_)) => Err(MintError::Superseded),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(MintError::lost("timeout")),
        }
    }

    pub(super) fn rejection_of(&self, error: &MintError) -> Rejection {
        let rejection = from_mint_error(error);
        match error {
            // The refusal is remembered for `negative_ttl`, so an earlier retry would get the same answer.
            MintError::Api(error) if error.class == ErrorClass::Unknown => {
                rejection.with_retry_after(self.settings.negative_ttl)
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
pub(super) struct Counted<'a> {
    pub(super) clerk: &'a Clerk,
    pub(super) outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.clerk.count(self.outcome);
    }
}
