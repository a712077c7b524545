//! An assertion for a session: the checks that need no call to Clerk, and the request's part of the rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tracing::Instrument as _;

use super::flight::refused_for;
use super::{AssertionAttempt, Federation, KnownProvider};
use crate::access::Access;
use crate::assurance::Assurance;
use crate::clerk_api::CredentialRefusal;
use crate::clock::unix_seconds;
use crate::counters::Outcome;
use crate::engine::Clerk;
use crate::engine::deadline::Deadline;
use crate::engine::exchange::Counted;
use crate::engine::rejections::{self, from_api_error, unavailable};
use crate::engine::sign_in::{SignInError, SignInOutcome};
use crate::federation::{Accepted, Assertion, AssertionRefusal, Presented, TrustedProvider, Use};
use crate::flight::{Join, Priority};
use crate::jwt::{RegisteredClaims as _, TokenSource, claimed_issuer, key_id, signed_part, verified_payload};
use crate::key::{AssertionId, CredentialKey};
use crate::rejection::{Rejection, RejectionKind};
use crate::scope::OrganizationName;
use crate::session::ClerkSession;

impl Clerk {
    /// Exchanges an identity provider's assertion for a session.
    ///
    /// The provider is one of those that the engine was [built with](crate::ClerkBuilder::provider). No account is made: the
    /// assertion's subject has a user already, by a link at Clerk or by a rule, as the settings of the
    /// [provider](crate::federation::Provider) say. The [module docs](crate::federation) say more.
    ///
    /// A person's assertion is exchanged once, and a workload's is a credential: until it expires, further calls with it
    /// return the session from memory. [`ClerkSession::assurance`] says what the provider vouches for.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`], by its [`kind`](Rejection::kind):
    ///
    /// - [`CredentialsRejected`](RejectionKind::CredentialsRejected): the assertion is not accepted, and the
    ///   [`detail`](Rejection::detail) says why; or it is, and its subject has no user who may sign in, without a detail.
    /// - [`SecondFactorRequired`](RejectionKind::SecondFactorRequired): the assertion attests no second factor.
    /// - [`OrganizationForbidden`](RejectionKind::OrganizationForbidden): the user is no member of the organization.
    /// - The others are those of [`authenticate`](Self::authenticate).
    ///
    /// ```no_run
    /// # async fn example(clerk: tower_clerk::Clerk, token: String) -> Result<(), tower_clerk::Rejection> {
    /// use tower_clerk::Access;
    /// use tower_clerk::federation::Assertion;
    ///
    /// let session = clerk.exchange(&Assertion::new(token), &Access::new().organization("acme")).await?;
    /// println!("{} for {:?}", session.user_id(), session.assurance());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub async fn exchange(&self, assertion: &Assertion, access: &Access) -> Result<ClerkSession, Rejection> {
        self.exchange_from(None, assertion, access).await
    }

    /// Exchanges an assertion for a session, for a request from this source.
    pub(crate) async fn exchange_from(
        &self,
        source: Option<u64>,
        assertion: &Assertion,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        self.exchange_presented(source, assertion, Presented::Exchange, access).await
    }

    pub(super) async fn exchange_presented(
        &self,
        source: Option<u64>,
        assertion: &Assertion,
        presented: Presented,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let Some(federation) = &self.0.federation else {
            return Err(refused_for(AssertionRefusal::UNTRUSTED));
        };
        let key = self.0.sign_ins.secret.assertion(assertion.jwt().as_bytes());
        let issuer = claimed_issuer(assertion.jwt());
        let provider = issuer.and_then(|issuer| federation.provider(&issuer));
        // A person's assertion is exchanged once, so its session isn't looked for.
        let is_once = presented == Presented::Exchange
            && provider.is_none_or(|provider| provider.trusted.is_for_people());
        if !is_once && let Some(hit) = self.held(&key, access) {
            return Ok(hit.session);
        }
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let mut how = Outcome::Minted;
        let span = tracing::debug_span!("exchange_assertion");
        let exchanged = async {
            let provider = provider.ok_or_else(|| refused_for(AssertionRefusal::UNTRUSTED))?;
            let attempt = self.verify_assertion(provider, key, source, assertion, presented, access).await?;
            self.exchange_attempt(federation, &Arc::new(attempt), assertion, access, &mut how).await
        };
        let result = exchanged.instrument(span).await;
        counted.outcome = match &result {
            Ok(_) => how,
            Err(_) if how == Outcome::Denied => Outcome::Denied,
            Err(rejection) => Outcome::of(rejection.kind()),
        };
        result
    }

    /// Verifies an assertion, which takes no call but for its provider's keys.
    async fn verify_assertion(
        &self,
        provider: &KnownProvider,
        key: CredentialKey,
        source: Option<u64>,
        assertion: &Assertion,
        presented: Presented,
        access: &Access,
    ) -> Result<AssertionAttempt, Rejection> {
        let (inner, trusted) = (&self.0, &provider.trusted);
        if inner.sign_ins.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        let organization = access.scope.organization.clone();
        if organization == Some(OrganizationName::Malformed) {
            return Err(Rejection::new(RejectionKind::OrganizationForbidden));
        }
        let by_jwt = |error: crate::jwt::JwtError| refused_for(error.kind().into());
        let kid = key_id(assertion.jwt(), &trusted.algorithms).map_err(by_jwt)?;
        let keys = provider.jwks.keys_for(&kid, TokenSource::Client).await;
        let keys = keys.map_err(|error| from_api_error(&error))?;
        let payload = verified_payload(assertion.jwt(), &keys, &trusted.algorithms).map_err(by_jwt)?;
        let now = inner.clock.now();
        let time = unix_seconds(inner.sign_ins.time.at(now));
        let accepted = trusted.accept(&payload, assertion, presented, time).map_err(refused_for)?;
        // Not remembered: another assertion of the same subject may have the claims that a rule asks for.
        if !trusted.is_for_people() && accepted.user_id.is_none() {
            return Err(rejections::refused(CredentialRefusal::Unidentified).upstream(Some("no_rule".into())));
        }
        let user_id = accepted.user_id.as_deref().unwrap_or_default();
        let subject = inner.sign_ins.secret.providers_subject(&trusted.issuer, &accepted.subject, user_id);
        Ok(AssertionAttempt {
            key,
            subject,
            provider: Arc::clone(trusted),
            assurance: Arc::new(self.assurance(trusted, &accepted)),
            end: now + accepted.left,
            time,
            accepted: Arc::new(accepted),
            // No session is opened for an organization that the layer doesn't serve.
            organization: organization.filter(|name| *name != OrganizationName::Unlisted),
            source,
        })
    }

    fn assurance(&self, trusted: &TrustedProvider, accepted: &Accepted) -> Assurance {
        let claims = &accepted.claims;
        let auth_time = claims.auth_time();
        // For a person who signed in days ago, a provider issues an assertion of this minute.
        let known = if trusted.is_for_people() { auth_time } else { auth_time.or(Some(claims.issued_at())) };
        let at = known.map(|at| Duration::from_secs(at.min(claims.issued_at())));
        let at = at.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(at));
        Assurance {
            provider: Arc::clone(&trusted.issuer),
            subject: accepted.subject.clone(),
            amr: accepted.methods(),
            acr: claims.acr().map(Into::into),
            auth_time,
            is_workload: !trusted.is_for_people(),
            authenticated: at.and_then(|at| self.0.sign_ins.time.instant_of(at)),
        }
    }

    /// Uses an assertion that may be used once, and gives it back if nothing was decided about it.
    async fn exchange_attempt(
        &self,
        federation: &Arc<Federation>,
        attempt: &Arc<AssertionAttempt>,
        assertion: &Assertion,
        access: &Access,
        how: &mut Outcome,
    ) -> Result<ClerkSession, Rejection> {
        let Some(within) = attempt.accepted.once_within else {
            return self.session_of_assertion(federation, attempt, access, how).await;
        };
        let id = match attempt.accepted.claims.text("jti") {
            // An empty one would be that of everybody's assertions.
            Some(jti) if !jti.is_empty() => AssertionId::Jti(jti),
            // `verified_payload` has split the same JWT.
            _ => AssertionId::SignedPart(signed_part(assertion.jwt()).unwrap_or_default()),
        };
        let (id, now) =
            (self.0.sign_ins.secret.assertion_id(&attempt.provider.issuer, id), self.0.clock.now());
        match federation.used.take(id, now + within, now) {
            Use::First => {}
            Use::Again => return Err(refused_for(AssertionRefusal::USED)),
            Use::Full => {
                let rejection = Rejection::new(RejectionKind::UpstreamRateLimited);
                return Err(rejection.with_retry_after(self.0.settings.upstream_timeout));
            }
        }
        // Nothing came of this one. A stranger's further assertions must not fill the memory of those that were used.
        if let Some(rejection) = federation.refused_already(attempt, now) {
            federation.used.give_back(id);
            *how = Outcome::Denied;
            return Err(rejection);
        }
        let result = self.session_of_assertion(federation, attempt, access, how).await;
        // An outage decides nothing, and the client can't get another assertion without its user.
        if result.as_ref().is_err_and(|rejection| rejection.retry_after().is_some()) {
            federation.used.give_back(id);
        }
        result
    }

    /// The session of an assertion that was accepted: with its proof, and a token for this access.
    async fn session_of_assertion(
        &self,
        federation: &Arc<Federation>,
        attempt: &Arc<AssertionAttempt>,
        access: &Access,
        how: &mut Outcome,
    ) -> Result<ClerkSession, Rejection> {
        let inner = &self.0;
        let mut deadline = Deadline::new(inner.clock, &inner.settings);
        loop {
            let held = inner.sign_ins.sessions.get(&attempt.key, inner.clock.now());
            let (proof, end) = match held {
                Some(proof) => (proof, deadline.end()),
                None => {
                    let outcome = self.join_assertion(federation, attempt, how, &deadline).await?;
                    match outcome.result {
                        Ok(proof) => (proof, deadline.within(outcome.deadline)),
                        Err(SignInError::Rejected(rejection)) => return Err(rejection),
                        // Its proof ended before it could be used.
                        Err(SignInError::Superseded) if inner.clock.now() >= attempt.end => {
                            return Err(refused_for(AssertionRefusal::EXPIRED));
                        }
                        Err(SignInError::Superseded) if deadline.follow_up(outcome.deadline) => continue,
                        Err(SignInError::Superseded) => return Err(unavailable("revoked_meanwhile")),
                    }
                }
            };
            match inner.token_for(&proof, access, end).await {
                Ok(session) => return Ok(session),
                Err(error) if self.recover(&error, &proof, access, end, &mut deadline).await? => {}
                Err(error) => return Err(inner.rejection_of(&error)),
            }
        }
    }

    /// Finds the user of an assertion, or joins the flight of the same assertion.
    async fn join_assertion(
        &self,
        federation: &Arc<Federation>,
        attempt: &Arc<AssertionAttempt>,
        how: &mut Outcome,
        deadline: &Deadline,
    ) -> Result<SignInOutcome, Rejection> {
        let inner = &self.0;
        if let Some(rejection) = federation.refused_already(attempt, inner.clock.now()) {
            *how = Outcome::Denied;
            return Err(rejection);
        }
        let already = || {
            let now = inner.clock.now();
            let proof = inner.sign_ins.sessions.get(&attempt.key, now)?;
            Some(SignInOutcome::of(Ok(proof), now + inner.settings.upstream_timeout))
        };
        let join = federation.flights.join(attempt.key, Priority::Request, already, |waiters| {
            let (federation, attempt) = (Arc::clone(federation), Arc::clone(attempt));
            let sign_ins = Arc::clone(&inner.sign_ins);
            let span = tracing::debug_span!("find_user_of_assertion", provider = &*attempt.provider.issuer);
            async move { federation.run(&sign_ins, &attempt, &waiters.start(), waiters.gone()).await }
                .instrument(span)
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
