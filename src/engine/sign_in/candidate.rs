//! A session on its way to its proof: the candidate, and the proof's place in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{SignInError, SignIns};
use crate::access::Access;
use crate::clerk_api::fapi::SignedIn;
use crate::clerk_api::{ApiError, ErrorClass};
use crate::client_token::ClientSlot;
use crate::engine::rejections;
use crate::provider::OpenedSession;
use crate::rejection::Rejection;
use crate::scope::OrganizationName;
use crate::sessions::{Active, EndPolicy, Generation, HeldToken, Holding, NewSession, Proof, Session};
use crate::store::StoredSession;

/// A session whose proof is not stored yet.
pub(super) struct Candidate {
    pub(super) session: Arc<Session>,
    /// A holding in use that has the session, or a new one. Storing the proof may choose another.
    pub(super) holding: Arc<Holding>,
    /// The token in the answer to the sign-in.
    pub(super) token: Option<(Access, Arc<HeldToken>)>,
    /// The start of the proof's life.
    pub(super) at: Instant,
}

impl SignIns {
    /// Fails if the user has a task to complete at Clerk that the choice of an organization doesn't complete.
    pub(super) async fn candidate(
        &self,
        session: Arc<Session>,
        opened: OpenedSession,
        organization: Option<&OrganizationName>,
        at: Instant,
        since: Generation,
        time: Duration,
    ) -> Result<Candidate, (Rejection, Candidate)> {
        self.reaper.start();
        // Only a guess: `Sessions::insert` decides which holding the proof joins.
        let in_use = session.user.holding_with(&session.id);
        let holding = in_use.unwrap_or_else(|| Holding::new(Arc::clone(&session)));
        let session = holding.session_with(&session.id).unwrap_or(session);
        let mut candidate = Candidate { session, holding, token: None, at };
        let session = &candidate.session;
        let signed_in = match opened {
            OpenedSession::New { signed_in, .. } => Some(signed_in),
            OpenedSession::Stored(_) => None,
        };
        let pending = signed_in.as_ref().and_then(|signed_in| signed_in.pending.as_deref());
        if pending.is_some() && !session.choose_organization.load(Ordering::Relaxed) {
            let rejection =
                rejections::from_api_error(&ApiError::coded(ErrorClass::ActionRequired, "pending"));
            return Err((rejection, candidate));
        }
        let token = signed_in.and_then(|signed_in| signed_in.token);
        // The token of the sign-in saves a mint, except for a pending session. If it cannot be verified, the session is
        // still good, and the request mints a token.
        if let Some(minted) = token.filter(|_| !session.choose_organization.load(Ordering::Relaxed)) {
            let verified = self.minter.brought_along(session, organization, minted, since);
            match tokio::time::timeout(time, verified).await {
                Ok(Ok(token)) => candidate.token = token,
                _ => tracing::debug!("the token in the answer to a sign-in could not be used"),
            }
        }
        Ok(candidate)
    }

    /// Stores a proof, or gives its session up if the session is ending or a revocation since `since` concerns it.
    /// `stored` is called before any later revocation. Returns the session as its holding has it, too.
    pub(super) fn store(
        &self,
        candidate: &Candidate,
        since: Generation,
        prove: impl FnOnce(Arc<Holding>, Option<Instant>) -> Arc<Proof>,
        stored: impl FnOnce(&Proof, &Arc<Session>),
    ) -> Result<(Arc<Proof>, Arc<Session>), SignInError> {
        let Candidate { session, holding, token, at } = candidate;
        let concerned = holding.concerned().and_proof(&session.user.id, *at);
        let inserted = self.revocations.store_unless_revoked(since, &concerned, || {
            let prove = |holding| prove(holding, session.end);
            let inserted = self.sessions.insert(session, holding, self.provider.sharing(), prove);
            let (proof, session) = inserted.ok()?;
            stored(&proof, &session);
            Some((proof, session))
        });
        let (proof, session) = match inserted {
            Some(Some(inserted)) => inserted,
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
            _ = self.minter.store(&proof.holding, &session, access, Arc::clone(token), since);
        }
        let api = self.provider.api().name();
        tracing::debug!(user_id = &*session.user.id, session_id = &*session.id, api, "signed in");
        Ok((proof, session))
    }

    /// Ends the session of a candidate unless another proof points at it.
    pub(super) fn give_up(&self, candidate: &Candidate) {
        if candidate.session.user.holding_with(&candidate.session.id).is_none() {
            self.end_unstored(&candidate.holding);
        }
    }

    pub(super) fn session_of(&self, opened: &OpenedSession) -> Arc<Session> {
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
            active_organization: signed_in.active_organization.clone().into(),
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
            active_organization: Active::Personal,
        })
    }
}
