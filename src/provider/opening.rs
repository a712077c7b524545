//! Opening Clerk sessions by ticket, and going on with those that were opened before.

use std::time::Duration;

use super::{Backend, OpenedSession};
use crate::clerk_api::fapi::SignInWith;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::limits::{NoPermit, PermitRequest, Share};
use crate::scope::OrganizationName;
use crate::sessions::{Generation, Target, User};

impl Backend {
    /// A session of this user: for the organization that is asked for first, where the user is a member, or for none.
    pub(super) async fn open(
        &self,
        user: &User,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<OpenedSession, ApiError> {
        if organization.is_some() {
            match self.open_for(user, organization, since, time).await {
                Err(error) if error.class == ErrorClass::OrganizationForbidden => {}
                answer => return answer,
            }
        }
        self.open_for(user, None, since, time).await
    }

    /// A session of this user for this organization or for none: what is kept, or a new one.
    ///
    /// One that was revoked since its flight has started is not kept, so that no other flight goes on with it.
    pub(crate) async fn open_for(
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
        // Whether the user is a member is asked before a sign-in is spent on it; and a slug may have been given to another
        // organization.
        let id = match organization {
            None => None,
            Some(organization) => {
                user.set_memberships(self.bapi.memberships(&user.id, time).await?.into());
                let not_a_member = || ApiError::coded(ErrorClass::OrganizationForbidden, "not_a_member");
                Some(user.member_of(organization).ok_or_else(not_a_member)?)
            }
        };
        // One at a time per user: who comes second finds what the first has opened.
        let identifier = self.secret.user(&user.id);
        let permit_request = PermitRequest { share: Share::Trusted, identifier, source: None, renewal: None };
        let mut permit = self.sign_ins.permit(permit_request).await.map_err(|NoPermit { earliest }| {
            let retry_after = Some(earliest.max(Duration::from_secs(1)));
            ApiError { retry_after, ..ApiError::coded(ErrorClass::NoPermit, "sign_in_budget") }
        })?;
        if let Some(stored) = self.open_sessions.get(&user.id, id.as_deref()).await {
            return Ok(OpenedSession::Stored(stored));
        }
        let ticket = self.bapi.ticket(&user.id, id.as_deref(), time).await.map_err(|error| {
            // The user is gone since the password was verified.
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
        if signed_in.user_id != user.id {
            return Err(ApiError::unavailable("another_user"));
        }
        // It is kept for the organization that it was opened for, and otherwise for none.
        let opened_for = id.as_deref().filter(|id| signed_in.active_organization.as_deref() == Some(*id));
        self.open_sessions.keep(&signed_in, opened_for).await;
        // Still with the permit of this user: the next flight looks into the store after this. A revocation that comes
        // later finds the session there.
        let concerns = |target: &Target| match target {
            Target::User(id) => *id == user.id,
            Target::Session(id) => *id == signed_in.session_id,
            Target::Organization(_) | Target::Proofs(..) | Target::All => false,
        };
        if self.revocations.store_unless_revoked(since, concerns, || ()).is_none() {
            self.open_sessions.remove(&user.id, &signed_in.session_id).await;
        }
        drop(permit);
        Ok(OpenedSession::New(signed_in))
    }
}
