//! Minting with the Backend API as the provider.
//!
//! The Frontend API mints as long as it answers and the session's client is known, since that takes nothing of the
//! secret key's budget. Otherwise the secret key mints. It does so only for the session's active organization, so no
//! session is ever touched: each organization has a session of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::frontend::Calls;
use super::{
    MISSING_TEMPLATE, MintError, MintRequest, NewToken, Verifier, check_organization, check_template,
    mark_if_gone,
};
use crate::clerk_api::{ApiError, ErrorClass, Minted, TimeLeft};
use crate::provider::Backend;
use crate::scope::OrganizationName;
use crate::sessions::{Session, SessionState};

/// The back-off of mints by the Frontend API after it has not answered.
const FRONTEND_BACK_OFF: Duration = Duration::from_secs(10);

impl Backend {
    pub(super) async fn mint(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        // Later than the request's own deadline, since the wait for a permit of the key's budget is not counted there.
        let deadline = request.deadline + 2 * request.timeout;
        let minted = tokio::time::timeout_at(deadline, self.mint_either_way(request, verifier)).await;
        minted.unwrap_or_else(|_| Err(MintError::lost("timeout")))
    }

    async fn mint_either_way(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        let MintRequest { holding, session: first, access, template, timeout, .. } = request;
        let organization = access.scope.organization.as_ref();
        if template.is_none() && self.frontend_serves(first, organization) {
            let last = holding.last_token(access);
            let calls = Calls { fapi: &self.fapi, verifier, session: first, last: last.as_deref() };
            // A third of the time, so that the rest is enough for the secret key and the permit that it takes.
            let minted = tokio::time::timeout(timeout / 3, calls.session_token(organization, None)).await;
            match minted.unwrap_or_else(|_| Err(MintError::lost("timeout"))) {
                Err(MintError::Api(error)) if falls_back(&error) => self.back_off_frontend(&error),
                minted => {
                    let minted = minted.inspect_err(|error| mark_if_gone(first, error));
                    return minted.map(|token| (token, Arc::clone(first)));
                }
            }
        }
        let session = holding.session_for(organization).ok_or(MintError::NoSession)?;
        let calls = KeyCalls { backend: self, verifier, session: &session };
        let minted = calls.mint(organization, template, timeout).await;
        // The user has left the organization, and Clerk has removed it from the session. A new membership does not
        // bring it back.
        if matches!(minted, Err(MintError::Forbidden)) && organization.is_some() {
            self.open_sessions.forget(&session);
            session.lose_organization();
            session.advance(SessionState::Ending);
        }
        minted.inspect_err(|error| mark_if_gone(&session, error)).map(|token| (token, session))
    }

    fn frontend_serves(&self, session: &Session, organization: Option<&OrganizationName>) -> bool {
        let is_known = match organization {
            // The Frontend API resolves a slug only by a touch. The secret key can list the user's memberships.
            Some(slug @ OrganizationName::Slug(_)) => session.user.member_of(slug).is_some(),
            _ => true,
        };
        is_known
            && self.token_lifetime.is_none()
            && session.client.current().is_some()
            && !session.choose_organization.load(Ordering::Relaxed)
            && self.frontend_mints.left(self.clock.now()).is_none()
    }

    fn back_off_frontend(&self, error: &ApiError) {
        let pause = match error.class {
            ErrorClass::RateLimited => error.retry_after,
            _ => Some(FRONTEND_BACK_OFF),
        };
        self.frontend_mints.begin(pause, self.clock.now());
    }
}

/// Whether the secret key is tried after this error of the Frontend API.
fn falls_back(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::RateLimited | ErrorClass::Unavailable | ErrorClass::Unknown)
}

/// The calls that mint for one session with the secret key.
struct KeyCalls<'a> {
    backend: &'a Backend,
    verifier: &'a Verifier,
    session: &'a Session,
}

impl KeyCalls<'_> {
    async fn mint(
        &self,
        organization: Option<&OrganizationName>,
        template: Option<&str>,
        timeout: Duration,
    ) -> Result<NewToken, MintError> {
        let mut time = TimeLeft::new(timeout, self.backend.clock);
        if organization.is_none() && self.session.choose_organization.load(Ordering::Relaxed) {
            return Err(MintError::ActionRequired);
        }
        let Some(template) = template else { return self.session_token(organization, &mut time).await };
        // A template token need not name the organization. The session token shows that the user is still a member.
        let member = match organization {
            Some(_) => {
                self.session_token(organization, &mut time).await?.token.claims().organization().cloned()
            }
            None => None,
        };
        let minted = self.call(Some(template), &mut time).await?;
        let (token, life) = self.verifier.template_token(minted, self.session).await?;
        check_template(&token, member.as_ref())?;
        Ok(NewToken { token, life, organization: member })
    }

    async fn session_token(
        &self,
        organization: Option<&OrganizationName>,
        time: &mut TimeLeft,
    ) -> Result<NewToken, MintError> {
        let minted = self.call(None, time).await?;
        let (token, life) = self.verifier.session_token(minted, self.session).await?;
        check_organization(&token, organization, self.session.organization().unwrap_or_default())?;
        Ok(NewToken { token, life, organization: None })
    }

    async fn call(&self, template: Option<&str>, time: &mut TimeLeft) -> Result<Minted, MintError> {
        let (bapi, id) = (&self.backend.bapi, &self.session.id);
        match bapi.mint(id, template, self.backend.token_lifetime, time).await {
            // Either the session is missing, or the template.
            Err(error) if error.class == ErrorClass::NotFound => {
                let is_live = bapi.session_is_live(id, time).await?;
                Err(match template {
                    _ if !is_live => MintError::Gone,
                    Some(_) => MintError::Misconfigured(MISSING_TEMPLATE),
                    None => MintError::Api(error),
                })
            }
            answer => answer.map_err(Into::into),
        }
    }
}
