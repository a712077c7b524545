//! From a proven password to a stored proof and the sessions it points at.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::candidate::Candidate;
use super::{Attempt, OpenOutcome, SignInError, SignIns};
use crate::access::Access;
use crate::clerk_api::TimeLeft;
use crate::engine::rejections;
use crate::key::{device_name, normalize_identifier};
use crate::limits::{Ground, Repeats};
use crate::provider::OpenedSession;
use crate::scope::OrganizationName;
use crate::sessions::{Generation, Holding, Proof, ProofLife, SessionState, Target, User};

/// The largest part of `session_ttl` by which jitter ends a proof early, so that proofs made together don't end
/// together.
const PROOF_JITTER: f64 = 0.05;

/// A proof is renewed at 0.9 of its life or up to a ninth earlier, which is at 0.8 (rule K12).
pub(super) const PROOF_RENEWAL: (f64, f64) = (0.9, 1.0 / 9.0);

/// The session for a proven password.
pub(super) struct ProvenSession {
    pub(super) opened: OpenedSession,
    /// The user's verified identifiers.
    pub(super) identifiers: Vec<String>,
    /// The start of the proof's life.
    pub(super) at: Instant,
}

impl SignIns {
    /// Stores the proof of a finished sign-in.
    pub(super) async fn open(
        &self,
        attempt: &Attempt,
        proven: ProvenSession,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<Proof>, SignInError> {
        let candidate = self.candidate_of(attempt, proven, since, time).await?;
        self.commit(attempt, &candidate, since)
    }

    /// Stores the proof of an assertion, which `prove` makes.
    #[cfg(feature = "federation")]
    pub(crate) async fn open_for_assertion(
        &self,
        opened: OpenedSession,
        organization: Option<&OrganizationName>,
        at: Instant,
        since: Generation,
        time: Duration,
        prove: impl FnOnce(Arc<Holding>, Option<Instant>) -> Arc<Proof>,
    ) -> Result<Arc<Proof>, SignInError> {
        let session = self.session_of(&opened);
        let candidate = match self.candidate(session, opened, organization, at, since, time).await {
            Ok(candidate) => candidate,
            Err((rejection, candidate)) => {
                self.give_up(&candidate);
                return Err(rejection.into());
            }
        };
        self.store(&candidate, since, prove, |_, _| {}).map(|(proof, _)| proof)
    }

    /// Adds a session for another organization, or for the personal account, to a holding.
    pub(crate) async fn open_for(
        &self,
        holding: &Arc<Holding>,
        organization: Option<&OrganizationName>,
        left: Duration,
    ) -> OpenOutcome {
        let since = self.revocations.now();
        let mut time = TimeLeft::new(left, self.clock);
        let result = match self.provider.session_for(&holding.user, organization, since, &mut time).await {
            Err(error) => Err(rejections::from_api_error(&error).into()),
            Ok(opened) => {
                let session = self.session_of(&opened);
                // The new session is not part of the holding yet, so a revocation may name either.
                let concerned = holding.concerned().and(Target::Session(Arc::clone(&session.id)));
                let stored = self
                    .revocations
                    .store_unless_revoked(since, &concerned, || self.sessions.add(holding, &session).is_ok());
                match stored {
                    Some(true) => Ok(()),
                    // The last proof on the holding has left. The session stays stored for the next sign-in.
                    Some(false) => Err(SignInError::Superseded),
                    None => {
                        self.end_unstored(&Holding::new(session));
                        Err(SignInError::Superseded)
                    }
                }
            }
        };
        OpenOutcome { result, deadline: self.clock.now() + time.left(), since }
    }

    /// Replaces a live session by a new one. Mints the old session's tokens again first, so that no request waits for
    /// them.
    pub(super) async fn replace(
        &self,
        attempt: &Attempt,
        old: &Arc<Proof>,
        proven: ProvenSession,
        since: Generation,
        deadline: Instant,
    ) -> Result<Arc<Proof>, SignInError> {
        let left = deadline.saturating_duration_since(self.clock.now());
        let candidate = match self.candidate_of(attempt, proven, since, left).await {
            Ok(candidate) => candidate,
            // The user has a pending task at Clerk, so the old session must not go on either.
            Err(error) => {
                self.invalidate(old);
                return Err(error);
            }
        };
        let now = self.clock.now();
        // A token that is not minted in time is minted on the first request for it.
        let tokens = async {
            for scope in old.holding.tokens.scopes(now) {
                _ = self.minter.mint(&candidate.holding, &Access { scope, ..Access::default() }).await;
            }
        };
        _ = tokio::time::timeout_at(deadline, tokens).await;
        // The proof was removed before its time, for example by a sign-out.
        if old.is_over() && self.clock.now() < old.end() {
            self.give_up(&candidate);
            return Err(SignInError::Superseded);
        }
        let proof = self.commit(attempt, &candidate, since)?;
        // The sign-out may also race with the commit. Either it finds the new proof, or this finds the old session
        // ended.
        if old.holding.session().state() == SessionState::EndedElsewhere {
            self.invalidate(&proof);
            return Err(SignInError::Superseded);
        }
        Ok(proof)
    }

    /// Stores the proof of a password, and writes its record.
    fn commit(
        &self,
        attempt: &Attempt,
        candidate: &Candidate,
        since: Generation,
    ) -> Result<Arc<Proof>, SignInError> {
        let at = candidate.at;
        self.records.supersede(&attempt.credentials, &candidate.session, &self.sessions);
        let prove = |holding, end| Proof::new(attempt.key, holding, at, self.proof_life(at), end);
        let (proof, session) = self.store(candidate, since, prove, |proof, session| {
            self.trusted.trust(proof.key, &session.user, self.clock.now());
            self.provider.remember(&device_name(attempt.credentials.identifier()), session);
        })?;
        self.records.write(&attempt.credentials, &proof, &session);
        self.sign_in_limiter.set_trusted(self.trusted.len());
        Ok(proof)
    }

    /// The candidate of a proven password. If its session is pending, the refusal is remembered.
    async fn candidate_of(
        &self,
        attempt: &Attempt,
        proven: ProvenSession,
        since: Generation,
        time: Duration,
    ) -> Result<Candidate, SignInError> {
        let ProvenSession { opened, identifiers, at } = proven;
        let session = self.session_of(&opened);
        self.clear_failures(attempt, &session.user, &identifiers);
        let organization = attempt.organization.as_ref();
        match self.candidate(session, opened, organization, at, since, time).await {
            Ok(candidate) => {
                self.denials.forget(&attempt.key);
                Ok(candidate)
            }
            Err((rejection, candidate)) => {
                self.remember(attempt, &rejection, Ground::Other, Repeats::Lengthen);
                self.give_up(&candidate);
                Err(rejection.into())
            }
        }
    }

    /// Clears the counted failures of a user whose password Clerk has accepted.
    pub(super) fn clear_failures(&self, attempt: &Attempt, user: &User, identifiers: &[String]) {
        let key = |identifier: &str| self.secret.identifier(&normalize_identifier(identifier));
        let others = identifiers.iter().map(|identifier| key(identifier));
        self.failures.succeeded(key(attempt.credentials.identifier()), self.secret.user(&user.id), others);
    }

    pub(super) fn proof_life(&self, from: Instant) -> ProofLife {
        let ttl = self.settings.session_ttl;
        let (latest, spread) = PROOF_RENEWAL;
        let renew =
            self.settings.proof_renewal.then(|| from + self.jitter.earlier(ttl.mul_f64(latest), spread));
        ProofLife { end: from + self.jitter.earlier(ttl, PROOF_JITTER), renew }
    }
}
