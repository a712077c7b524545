//! From a proven password to a proof that is stored, and the sessions that it points at.

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
use crate::limits::Repeats;
use crate::membership::Membership;
use crate::provider::OpenedSession;
use crate::scope::OrganizationName;
use crate::sessions::{
    Generation, HeldToken, Holding, NewSession, Proof, ProofLife, Session, SessionState, Target, User,
};
use crate::store::StoredSession;

/// Proofs end up to this part of `session_ttl` early, so that what began together doesn't end together.
const PROOF_JITTER: f64 = 0.05;

/// Proofs are renewed in the last fifth of their life: at 0.8 to 0.9 of it (rule K12).
const PROOF_RENEWAL: (f64, f64) = (0.9, 1.0 / 9.0);

/// A session for a password that was proven.
pub(super) struct ProvenSession {
    pub(super) opened: OpenedSession,
    /// What else its user can sign in with.
    pub(super) identifiers: Vec<String>,
    /// What the life of the proof counts from.
    pub(super) at: Instant,
}

/// A session that a proof is to be stored for.
struct Candidate {
    session: Arc<Session>,
    /// One in use that has the session, or one of its own. Another one may be chosen when the proof is stored.
    holding: Arc<Holding>,
    /// What the sign-in brought along.
    token: Option<(Access, Arc<HeldToken>)>,
    /// What the life of the proof counts from.
    at: Instant,
}

impl SignIns {
    /// Makes a proof of a finished sign-in, and stores it.
    pub(super) async fn open(
        &self,
        attempt: &Attempt,
        proven: ProvenSession,
        since: Generation,
        time: Duration,
    ) -> Result<Arc<Proof>, SignInError> {
        let candidate = self.opened(attempt, proven, since, time).await?;
        self.commit(attempt, &candidate, since)
    }

    /// Opens a session of the same user for another organization, or for none.
    pub(crate) async fn open_for(
        &self,
        holding: &Arc<Holding>,
        organization: Option<&OrganizationName>,
        left: Duration,
    ) -> OpenOutcome {
        let since = self.revocations.now();
        let mut time = TimeLeft::new(left, self.clock);
        let result = match self.provider.open_for(&holding.user, organization, since, &mut time).await {
            Err(error) => Err(rejections::from_api_error(&error).into()),
            Ok(opened) => {
                let session = self.session_of(&opened, organization);
                // A revocation is about the sessions that the holding has, or about this one.
                let concerns = |target: &Target| {
                    holding.concerns(target) || matches!(target, Target::Session(id) if **id == *session.id)
                };
                let stored = self
                    .revocations
                    .store_unless_revoked(since, concerns, || self.sessions.add(holding, &session).is_ok());
                match stored {
                    Some(true) => Ok(()),
                    // The holding has been given up. The session is kept for the next sign-in.
                    Some(false) => Err(SignInError::Superseded),
                    None => {
                        self.end_unstored(&Holding::new(session));
                        Err(SignInError::Superseded)
                    }
                }
            }
        };
        OpenOutcome { result, deadline: self.clock.now() + time.left() }
    }

    /// Puts a new session in the place of one that is still live, with the tokens that this one had, so that no request
    /// has to wait for them.
    pub(super) async fn replace(
        &self,
        attempt: &Attempt,
        old: &Arc<Proof>,
        proven: ProvenSession,
        since: Generation,
        deadline: Instant,
    ) -> Result<Arc<Proof>, SignInError> {
        let left = deadline.saturating_duration_since(self.clock.now());
        let candidate = match self.opened(attempt, proven, since, left).await {
            Ok(candidate) => candidate,
            // The user has something to do first: no session of theirs serves on.
            Err(error) => {
                self.invalidate(old);
                return Err(error);
            }
        };
        let now = self.clock.now();
        // One that can't be had in time is had when it is asked for.
        let tokens = async {
            for scope in old.holding.tokens.scopes(now) {
                _ = self.minter.mint(&candidate.holding, &Access { scope, ..Access::default() }).await;
            }
        };
        _ = tokio::time::timeout_at(deadline, tokens).await;
        // A caller has ended the credential's session meanwhile: it is over, and its time was not up.
        if old.is_over() && self.clock.now() < old.end() {
            self.give_up(&candidate);
            return Err(SignInError::Superseded);
        }
        let proof = self.commit(attempt, &candidate, since)?;
        // Or in this very moment: either the caller has found the new proof, or this finds the old session ended.
        if old.holding.session().state() == SessionState::EndedElsewhere {
            self.invalidate(&proof);
            return Err(SignInError::Superseded);
        }
        Ok(proof)
    }

    /// Stores a proof, unless its user or session was revoked before it could be, or the session is being ended. Then it
    /// is given up.
    fn commit(
        &self,
        attempt: &Attempt,
        candidate: &Candidate,
        since: Generation,
    ) -> Result<Arc<Proof>, SignInError> {
        let Candidate { session, holding, token, at } = candidate;
        let concerns = |target: &Target| match target {
            Target::Proofs(user, before) => *user == session.user.id && at < before,
            target => holding.concerns(target),
        };
        let stored = self.revocations.store_unless_revoked(since, concerns, || {
            let prove = |holding| Proof::new(attempt.key, holding, *at, self.proof_life(*at), session.end);
            let proof = self.sessions.insert(session, holding, self.provider.sharing(), prove).ok()?;
            if let Some((access, token)) = token {
                proof.holding.tokens.put(access, token, self.clock.now());
            }
            self.trusted.trust(proof.key, &session.user, self.clock.now());
            Some(proof)
        });
        let Some(proof) = stored.flatten() else {
            self.give_up(candidate);
            return Err(SignInError::Superseded);
        };
        // Not under the lock of the revocations: a store may write to a disk. A revocation that came in between has not
        // found the device, so it is taken back.
        let device_name = device_name(attempt.credentials.identifier());
        self.provider.remember(&device_name, session);
        let revokes_user = |target: &Target| matches!(target, Target::User(id) if *id == session.user.id);
        if self.revocations.store_unless_revoked(since, revokes_user, || ()).is_none() {
            self.provider.forget_device(&device_name);
        }
        self.sign_in_limiter.set_trusted(self.trusted.len());
        let api = self.provider.api().name();
        tracing::debug!(user_id = &*session.user.id, session_id = &*session.id, api, "signed in");
        Ok(proof)
    }

    async fn opened(
        &self,
        attempt: &Attempt,
        proven: ProvenSession,
        since: Generation,
        time: Duration,
    ) -> Result<Candidate, SignInError> {
        self.reaper.start();
        let ProvenSession { opened, identifiers, at } = proven;
        let session = self.session_of(&opened, attempt.organization.as_ref());
        // Most likely the holding to join. The last word is had when the proof is stored.
        let in_use = session.user.holding_with(&session.id);
        let holding = in_use.unwrap_or_else(|| Holding::new(Arc::clone(&session)));
        let session = holding.session_with(&session.id).unwrap_or(session);
        let mut candidate = Candidate { session, holding, token: None, at };
        let session = &candidate.session;
        self.clear_failures(attempt, &session.user, &identifiers);
        let signed_in = match opened {
            OpenedSession::New(signed_in) => Some(signed_in),
            OpenedSession::Stored(_) => None,
        };
        let pending = signed_in.as_ref().and_then(|signed_in| signed_in.pending.as_deref());
        if pending.is_some() && !session.choose_organization.load(Ordering::Relaxed) {
            let rejection =
                rejections::from_api_error(&ApiError::coded(ErrorClass::ActionRequired, "pending"));
            self.remember(attempt.key, &rejection, Repeats::Lengthen);
            self.give_up(&candidate);
            return Err(rejection.into());
        }
        self.denials.forget(&attempt.key);
        let token = signed_in.and_then(|signed_in| signed_in.token);
        // What the sign-in brought along saves a mint where it fits. Of a pending session it never does; and one that
        // can't be verified now is no reason to lose the session: the request mints another.
        if let Some(minted) = token.filter(|_| !session.choose_organization.load(Ordering::Relaxed)) {
            let verified = self.minter.brought_along(session, attempt.organization.as_ref(), minted, since);
            match tokio::time::timeout(time, verified).await {
                Ok(Ok(token)) => candidate.token = token,
                _ => tracing::debug!("the token that a sign-in brought along could not be taken"),
            }
        }
        Ok(candidate)
    }

    /// Ends the session of a candidate, unless a proof that stands is served by it.
    fn give_up(&self, candidate: &Candidate) {
        if candidate.session.user.holding_with(&candidate.session.id).is_none() {
            self.end_unstored(&candidate.holding);
        }
    }

    fn session_of(&self, opened: &OpenedSession, organization: Option<&OrganizationName>) -> Arc<Session> {
        match opened {
            OpenedSession::New(signed_in) => self.new_session(signed_in, organization),
            OpenedSession::Stored(kept) => self.kept_session(kept),
        }
    }

    /// The session that a sign-in has made.
    fn new_session(&self, signed_in: &SignedIn, organization: Option<&OrganizationName>) -> Arc<Session> {
        let left = signed_in.timing.left;
        let choose_organization = signed_in.pending.as_ref().is_some_and(|tasks| {
            !tasks.is_empty() && tasks.iter().all(|task| &**task == "choose-organization")
        });
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.at(left));
        let end = signed_in.expire_at.and_then(|expire_at| Some(left + expire_at.duration_since(seen).ok()?));
        // The one that was asked for, by id or slug, if Clerk has made that one active.
        let active = signed_in.active_organization.as_deref();
        let is_active = |asked: &OrganizationName| {
            active == Some(asked.as_str()) || active == Membership::find(&signed_in.memberships, asked)
        };
        let user = self.users.of(&signed_in.user_id);
        user.set_memberships(signed_in.memberships.clone());
        Session::new(NewSession {
            id: Arc::from(&*signed_in.session_id),
            user,
            client: Arc::clone(&signed_in.client),
            organization: active.filter(|_| organization.is_some_and(is_active)).map(Into::into),
            end,
            choose_organization,
            active_organization: signed_in.active_organization.clone(),
        })
    }

    /// A session that a sign-in of before has made; its client is known if that sign-in was this process'.
    fn kept_session(&self, kept: &StoredSession) -> Arc<Session> {
        let client = self.provider.known_client(kept.session_id());
        let left = kept.expire_at().duration_since(self.time.now()).unwrap_or_default();
        Session::new(NewSession {
            id: kept.session_id().into(),
            user: self.users.of(kept.user_id()),
            client: client.unwrap_or_else(|| Arc::new(ClientSlot::none())),
            organization: kept.organization().map(Into::into),
            end: Some(self.clock.now() + left),
            choose_organization: false,
            active_organization: None,
        })
    }

    /// Clerk has accepted the password: what was held against the credential and its user is void.
    pub(super) fn clear_failures(&self, attempt: &Attempt, user: &User, identifiers: &[String]) {
        let key = |identifier: &str| self.secret.identifier(&normalize_identifier(identifier));
        let others = identifiers.iter().map(|identifier| key(identifier));
        self.attempts.succeeded(key(attempt.credentials.identifier()), self.secret.user(&user.id), others);
    }

    pub(super) fn proof_life(&self, from: Instant) -> ProofLife {
        let ttl = self.settings.session_ttl;
        let (latest, spread) = PROOF_RENEWAL;
        let renew =
            self.settings.proof_renewal.then(|| from + self.jitter.earlier(ttl.mul_f64(latest), spread));
        ProofLife { end: from + self.jitter.earlier(ttl, PROOF_JITTER), renew }
    }
}
