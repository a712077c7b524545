//! Minting by the Backend API: by the Frontend API as long as it takes part and the session's client is known, which
//! spares the key's budget, and otherwise with the secret key.
//!
//! The key mints for a session's active organization alone. So no session of this provider is ever touched: each is for
//! the organization that it was opened for, and another organization is another session's.

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

/// A Frontend API that doesn't answer is left alone for so long.
const REST: Duration = Duration::from_secs(10);

impl Backend {
    pub(super) async fn mint(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        // The wait for a turn of the key's budget is not counted.
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
            // A third of the time, so that there is some left for the other way, and for a turn on it.
            let minted = tokio::time::timeout(timeout / 3, calls.session_token(organization, None)).await;
            match minted.unwrap_or_else(|_| Err(MintError::lost("timeout"))) {
                Err(MintError::Api(error)) if falls_back(&error) => self.rest_frontend(&error),
                minted => {
                    let minted = minted.inspect_err(|error| mark_if_gone(first, error));
                    return minted.map(|token| (token, Arc::clone(first)));
                }
            }
        }
        let session = holding.session_for(organization).ok_or(MintError::NoSession)?;
        let calls = KeyCalls { backend: self, verifier, session: &session };
        let minted = calls.mint(organization, template, timeout).await;
        // The user has left the organization, and Clerk has taken it from the session. It is good for nothing more, also
        // if the user should come back.
        if matches!(minted, Err(MintError::Forbidden)) && organization.is_some() {
            self.open_sessions.forget(&session).await;
            session.lose_organization();
            session.advance(SessionState::Ending);
        }
        minted.inspect_err(|error| mark_if_gone(&session, error)).map(|token| (token, session))
    }

    fn frontend_serves(&self, session: &Session, organization: Option<&OrganizationName>) -> bool {
        let is_known = match organization {
            // Clerk resolves slugs by a touch alone; the key knows the user's organizations.
            Some(slug @ OrganizationName::Slug(_)) => session.user.member_of(slug).is_some(),
            _ => true,
        };
        is_known
            && self.token_lifetime.is_none()
            && session.client.current().is_some()
            && !session.choose_organization.load(Ordering::Relaxed)
            && self.frontend_mints.left(self.clock.now()).is_none()
    }

    fn rest_frontend(&self, error: &ApiError) {
        let pause = match error.class {
            ErrorClass::RateLimited => error.retry_after,
            _ => Some(REST),
        };
        self.frontend_mints.begin(pause, self.clock.now());
    }
}

/// Whether the secret key is tried where the Frontend API has answered so.
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
        // A template's token need not name the organization: the session's own tells that the user is still a member.
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
            // What isn't there is the session, or the template.
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
