//! From a proven password to a stored proof and the sessions it points at.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, OpenOutcome, SignInError, SignIns};
use crate::access::Access;
use crate::clerk_api::fapi::SignedIn;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::client_token::ClientSlot;
use crate::engine::rejections;
use crate::key::{device_name, normalize_identifier};
use crate::limits::{Ground, Repeats};
use crate::provider::OpenedSession;
use crate::scope::OrganizationName;
use crate::sessions::{
    Concerned, EndPolicy, Generation, HeldToken, Holding, NewSession, Proof, ProofLife, Session,
    SessionState, Target, User,
};
use crate::store::StoredSession;

/// The largest part of `session_ttl` by which jitter ends a proof early, so that proofs made together don't end
/// together.
const PROOF_JITTER: f64 = 0.05;

/// A proof is renewed at 0.9 of its life or up to a ninth earlier, which is at 0.8 (rule K12).
const PROOF_RENEWAL: (f64, f64) = (0.9, 1.0 / 9.0);

/// The session for a proven password.
pub(super) struct ProvenSession {
    pub(super) opened: OpenedSession,
    /// The user's verified identifiers.
    pub(super) identifiers: Vec<String>,
    /// The start of the proof's life.
    pub(super) at: Instant,
}

/// A session whose proof is not stored yet.
struct Candidate {
    session: Arc<Session>,
    /// A holding in use that has the session, or a new one. Storing the proof may choose another.
    holding: Arc<Holding>,
    /// The token in the answer to the sign-in.
    token: Option<(Access, Arc<HeldToken>)>,
    /// The start of the proof's life.
    at: Instant,
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
        let candidate = self.candidate(attempt, proven, since, time).await?;
        self.commit(attempt, &candidate, since)
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
        let candidate = match self.candidate(attempt, proven, since, left).await {
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

    /// Stores a proof, or gives its session up if the session is ending or a revocation since `since` concerns it.
    fn commit(
        &self,
        attempt: &Attempt,
        candidate: &Candidate,
        since: Generation,
    ) -> Result<Arc<Proof>, SignInError> {
        let Candidate { session, holding, token, at } = candidate;
        let concerned = holding.concerned().and_proof(&session.user.id, *at);
        let stored = self.revocations.store_unless_revoked(since, &concerned, || {
            let prove = |holding| Proof::new(attempt.key, holding, *at, self.proof_life(*at), session.end);
            let proof = self.sessions.insert(session, holding, self.provider.sharing(), prove).ok()?;
            self.trusted.trust(proof.key, &session.user, self.clock.now());
            Some(proof)
        });
        let proof = match stored {
            Some(Some(proof)) => proof,
            // Only the proof has expired: the next sign-in may go on with the session.
            None if !self.revocations.is_revoked(since, &holding.concerned()) => {
                self.sessions.abandon(holding, EndPolicy::UnlessStored);
                return Err(SignInError::Superseded);
            }
            _ => {
                self.give_up(candidate);
                return Err(SignInError::Superseded);
            }
        };
        // If it was revoked, the request mints another one.
        if let Some((access, token)) = token {
            _ = self.minter.store(&proof.holding, session, access, Arc::clone(token), since);
        }
        // A store may write to disk, so this must not happen under the revocations lock. A revocation in between has
        // not found the device, so it is forgotten here.
        let device_name = device_name(attempt.credentials.identifier());
        self.provider.remember(&device_name, session);
        if self.revocations.is_revoked(since, &Concerned::user(&session.user.id)) {
            self.provider.forget_device(&device_name);
        }
        self.sign_in_limiter.set_trusted(self.trusted.len());
        let api = self.provider.api().name();
        tracing::debug!(user_id = &*session.user.id, session_id = &*session.id, api, "signed in");
        Ok(proof)
    }

    async fn candidate(
        &self,
        attempt: &Attempt,
        proven: ProvenSession,
        since: Generation,
        time: Duration,
    ) -> Result<Candidate, SignInError> {
        self.reaper.start();
        let ProvenSession { opened, identifiers, at } = proven;
        let session = self.session_of(&opened);
        // Only a guess: `Sessions::insert` decides which holding the proof joins.
        let in_use = session.user.holding_with(&session.id);
        let holding = in_use.unwrap_or_else(|| Holding::new(Arc::clone(&session)));
        let session = holding.session_with(&session.id).unwrap_or(session);
        let mut candidate = Candidate { session, holding, token: None, at };
        let session = &candidate.session;
        self.clear_failures(attempt, &session.user, &identifiers);
        let signed_in = match opened {
            OpenedSession::New { signed_in, .. } => Some(signed_in),
            OpenedSession::Stored(_) => None,
        };
        let pending = signed_in.as_ref().and_then(|signed_in| signed_in.pending.as_deref());
        if pending.is_some() && !session.choose_organization.load(Ordering::Relaxed) {
            let rejection =
                rejections::from_api_error(&ApiError::coded(ErrorClass::ActionRequired, "pending"));
            self.remember(attempt, &rejection, Ground::Other, Repeats::Lengthen);
            self.give_up(&candidate);
            return Err(rejection.into());
        }
        self.denials.forget(&attempt.key);
        let token = signed_in.and_then(|signed_in| signed_in.token);
        // The token of the sign-in saves a mint, except for a pending session. If it cannot be verified, the session is
        // still good, and the request mints a token.
        if let Some(minted) = token.filter(|_| !session.choose_organization.load(Ordering::Relaxed)) {
            let verified = self.minter.brought_along(session, attempt.organization.as_ref(), minted, since);
            match tokio::time::timeout(time, verified).await {
                Ok(Ok(token)) => candidate.token = token,
                _ => tracing::debug!("the token in the answer to a sign-in could not be used"),
            }
        }
        Ok(candidate)
    }

    /// Ends the session of a candidate unless another proof points at it.
    fn give_up(&self, candidate: &Candidate) {
        if candidate.session.user.holding_with(&candidate.session.id).is_none() {
            self.end_unstored(&candidate.holding);
        }
    }

    fn session_of(&self, opened: &OpenedSession) -> Arc<Session> {
        match opened {
            OpenedSession::New { signed_in, organization } => {
                self.new_session(signed_in, organization.clone())
            }
            OpenedSession::Stored(stored) => self.stored_session(stored),
        }
    }

    fn new_session(&self, signed_in: &SignedIn, organization: Option<Box<str>>) -> Arc<Session> {
        let left = signed_in.timing.left;
        let choose_organization = signed_in.pending.as_ref().is_some_and(|tasks| {
            !tasks.is_empty() && tasks.iter().all(|task| &**task == "choose-organization")
        });
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.at(left));
        let end = signed_in.expire_at.and_then(|expire_at| Some(left + expire_at.duration_since(seen).ok()?));
        let user = self.users.of(&signed_in.user_id);
        user.set_memberships(signed_in.memberships.clone());
        Session::new(NewSession {
            id: Arc::from(&*signed_in.session_id),
            user,
            client: Arc::clone(&signed_in.client),
            organization,
            end,
            choose_organization,
            active_organization: signed_in.active_organization.clone(),
        })
    }

    /// A session of an earlier sign-in. Its client is known only if this process made that sign-in.
    fn stored_session(&self, stored: &StoredSession) -> Arc<Session> {
        let client = self.provider.known_client(stored.session_id());
        let left = stored.expire_at().duration_since(self.time.now()).unwrap_or_default();
        Session::new(NewSession {
            id: stored.session_id().into(),
            user: self.users.of(stored.user_id()),
            client: client.unwrap_or_else(|| Arc::new(ClientSlot::none())),
            organization: stored.organization().map(Into::into),
            end: Some(self.clock.now() + left),
            choose_organization: false,
            active_organization: None,
        })
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
