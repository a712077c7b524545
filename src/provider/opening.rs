//! The sessions of the Backend API: a stored one is used again, and a new one is opened by ticket.

use std::time::Duration;

use super::{Backend, OpenedSession};
use crate::clerk_api::fapi::{SignInWith, SignedIn};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::limits::{NoPermit, PermitRequest, Share, SignInPermit, Urgency};
use crate::scope::OrganizationName;
use crate::sessions::{Concerned, Generation, Target, User};

impl Backend {
    /// Returns the user's session for the organization of the first request, or for the personal account if the user is
    /// not a member.
    pub(super) async fn first_session(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        if organization.is_some() {
            match self.session_for(user, organization, since, time).await {
                Err(error) if error.class == ErrorClass::OrganizationForbidden => {}
                answer => return answer,
            }
        }
        self.session_for(user, None, since, time).await
    }

    /// Returns the user's session for an organization, or for the personal account: the stored one, or a new one.
    ///
    /// A new session is removed from the store again if a revocation since `since` concerns it, so that no other flight
    /// finds it there.
    pub(super) async fn session_for(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        let known = match organization {
            Some(OrganizationName::Id(id)) => Some(id.clone()),
            Some(slug) => user.member_of(slug),
            None => None,
        };
        if known.is_some() == organization.is_some()
            && let Some(stored) = self.open_sessions.get(&user.id, known.as_deref()).await
        {
            return Ok(OpenedSession::Stored(stored));
        }
        let id = self.membership(user, organization, time).await?;
        let mut permit = self.permit(user).await?;
        if let Some(stored) = self.open_sessions.get(&user.id, id.as_deref()).await {
            return Ok(OpenedSession::Stored(stored));
        }
        let signed_in = self.sign_in_by_ticket(user, id.as_deref(), &mut permit, time).await?;
        // The organization that Clerk has made active: the secret key mints for no other.
        let organization = id.and(signed_in.active_organization.clone());
        let stored = self.open_sessions.put(&signed_in, organization.as_deref());
        self.remove_if_revoked(&signed_in, since);
        stored.await;
        // Not earlier: the user's next flight gets the permit and then looks for this session in the store.
        drop(permit);
        Ok(OpenedSession::New { signed_in, organization })
    }

    /// Returns the id of an organization that the user is a member of.
    ///
    /// Fetches the memberships even if they are known: a sign-in should not be spent on a former member, and a slug may
    /// belong to another organization by now.
    async fn membership(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        time: &mut TimeLeft,
    ) -> Result<Option<Box<str>>, ApiError> {
        let Some(organization) = organization else { return Ok(None) };
        user.set_memberships(self.bapi.memberships(&user.id, Urgency::Proof, time).await?.into());
        let not_a_member = || ApiError::coded(ErrorClass::OrganizationForbidden, "not_a_member");
        user.member_of(organization).map(Some).ok_or_else(not_a_member)
    }

    /// Waits for a permit to sign in. A user has one at a time, so that a second flight finds the session of the first.
    async fn permit(&self, user: &User) -> Result<SignInPermit, ApiError> {
        let identifier = self.secret.user(&user.id);
        let request = PermitRequest { share: Share::Trusted, identifier, source: None, renewal: None };
        self.sign_ins.permit(request).await.map_err(|NoPermit { earliest }| {
            let retry_after = Some(earliest.max(Duration::from_secs(1)));
            ApiError { retry_after, ..ApiError::coded(ErrorClass::NoPermit, "sign_in_budget") }
        })
    }

    async fn sign_in_by_ticket(
        &self,
        user: &User,
        organization: Option<&str>,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<SignedIn, ApiError> {
        let ticket = self.bapi.ticket(&user.id, organization, time).await.map_err(|error| {
            // The user was deleted after the password was verified.
            let gone = error.class == ErrorClass::NotFound;
            if gone { ApiError::unavailable("user_gone") } else { error }
        })?;
        permit.start();
        let signed_in = time.run(self.fapi.sign_in(SignInWith::Ticket(&ticket), None)).await;
        let signed_in = signed_in.inspect_err(|error| {
            if error.class == ErrorClass::RateLimited {
                let pause = self.sign_ins.rate_limited(error.retry_after);
                tracing::warn!(
                    pause_secs = pause.as_secs(),
                    "Clerk's sign-in quota is spent: no new session is opened until the pause is over"
                );
            }
        })?;
        if *signed_in.user_id != *user.id {
            return Err(ApiError::unavailable("another_user"));
        }
        Ok(signed_in)
    }

    /// Removes a session that was revoked before it was stored. A later revocation finds it in the store.
    fn remove_if_revoked(&self, signed_in: &SignedIn, since: Generation) {
        let session = Target::Session(signed_in.session_id.as_ref().into());
        if self.revocations.is_revoked(since, &Concerned::user(&signed_in.user_id).and(session)) {
            self.open_sessions.remove(&signed_in.session_id);
        }
    }
}
