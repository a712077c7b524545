//! Minting by the Frontend API: the session's client token is enough, and one session serves all organizations.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{
    MISSING_TEMPLATE, MintError, MintRequest, NewToken, Verifier, check_organization, check_template,
    mark_if_gone,
};
use crate::clerk_api::fapi::{Fapi, MintFor};
use crate::clerk_api::{ApiError, ErrorClass, Minted};
use crate::provider::Frontend;
use crate::scope::OrganizationName;
use crate::sessions::{Active, HeldToken, Session};

impl Frontend {
    pub(super) async fn mint(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        let pause = self.mints.left(self.clock.now());
        if pause.is_some() {
            return Err(
                ApiError { retry_after: pause, ..ApiError::coded(ErrorClass::NoPermit, "paused") }.into()
            );
        }
        let MintRequest { holding, session, access, template, mut active, deadline, .. } = request;
        let organization = access.scope.organization.as_ref();
        let last = holding.last_token(access);
        let calls = Calls { fapi: &self.fapi, verifier, session, last: last.as_deref() };
        let minted = match template {
            Some(template) => {
                let minted = calls.by_template(organization, template, active.as_deref_mut());
                tokio::time::timeout_at(deadline, minted).await
            }
            None => {
                let minted = calls.session_token(organization, active.as_deref_mut());
                tokio::time::timeout_at(deadline, minted).await
            }
        };
        let minted = minted.unwrap_or_else(|_| Err(MintError::lost("timeout")));
        if let Err(MintError::Api(error)) = &minted
            && error.class == ErrorClass::RateLimited
        {
            self.mints.begin(error.retry_after, self.clock.now());
        }
        minted.inspect_err(|error| mark_if_gone(session, error)).map(|token| (token, Arc::clone(session)))
    }
}

/// The calls that mint for one session.
pub(super) struct Calls<'a> {
    pub(super) fapi: &'a Fapi,
    pub(super) verifier: &'a Verifier,
    pub(super) session: &'a Session,
    /// Some instances want to see the last token.
    pub(super) last: Option<&'a HeldToken>,
}

impl Calls<'_> {
    /// `active` is the session's active organization, locked, where the organization may have to be touched.
    pub(super) async fn session_token(
        &self,
        organization: Option<&OrganizationName>,
        active: Option<&mut Active>,
    ) -> Result<NewToken, MintError> {
        let (id, minted) = match (organization, active) {
            (None, _) => {
                if self.session.choose_organization.load(Ordering::Relaxed) {
                    return Err(MintError::ActionRequired);
                }
                (Box::default(), self.mint(MintFor::Personal).await?)
            }
            (Some(organization), Some(active)) => self.touch(active, organization.as_str()).await?,
            (Some(organization), None) => {
                let id = match organization {
                    OrganizationName::Id(id) => id.clone(),
                    slug => self.session.user.member_of(slug).ok_or(MintError::Forbidden)?,
                };
                let minted = self.mint(MintFor::Organization(&id)).await?;
                (id, minted)
            }
        };
        let (token, life) = self.verifier.session_token(minted, self.session).await?;
        check_organization(&token, organization, &id)?;
        Ok(NewToken { token, life, organization: None })
    }

    /// A template's token follows the session's active organization, so the touch and the mint are one critical section.
    /// Its token need not name the organization; the session token that the touch brings does.
    async fn by_template(
        &self,
        organization: Option<&OrganizationName>,
        template: &str,
        active: Option<&mut Active>,
    ) -> Result<NewToken, MintError> {
        let Some(active) = active else { return Err(MintError::lost("no_critical_section")) };
        let is_personal = organization.is_none()
            && *active == Active::Personal
            && !self.session.choose_organization.load(Ordering::Relaxed);
        let member = if is_personal {
            None
        } else {
            // Touched each time, also where it is the active one as far as is known: the token may say nothing of the
            // organization, and then the touch alone tells that the user is still a member.
            let name = organization.map_or("", OrganizationName::as_str);
            let (id, minted) = self.touch(active, name).await?;
            let (token, _) = self.verifier.session_token(minted, self.session).await?;
            check_organization(&token, organization, &id)?;
            token.claims().organization().cloned()
        };
        let answer = self.fapi.mint_template(&self.session.id, &self.session.client, template).await;
        let minted = match answer {
            Err(error) if error.class == ErrorClass::NotFound => {
                return Err(self.gone_or(MintError::Misconfigured(MISSING_TEMPLATE)).await?);
            }
            answer => answer?,
        };
        let (token, life) = self.verifier.template_token(minted, self.session).await?;
        check_template(&token, member.as_ref())?;
        Ok(NewToken { token, life, organization: member })
    }

    /// `/tokens`, and what there is to try when Clerk wants to see the expired token, or finds something missing.
    async fn mint(&self, organization: MintFor<'_>) -> Result<Minted, MintError> {
        let (id, client) = (&self.session.id, &self.session.client);
        let mut answer = self.fapi.mint(id, client, organization, None).await;
        if answer.as_ref().is_err_and(|error| error.class == ErrorClass::MissingExpiredToken)
            && let Some(last) = self.last
        {
            answer = self.fapi.mint(id, client, organization, Some(last.session.token())).await;
        }
        match answer {
            // Without an organization, what isn't found is the session. With one it may be either.
            Err(error) if error.class == ErrorClass::NotFound => match organization {
                MintFor::Personal => Err(MintError::Gone),
                MintFor::Organization(_) => Err(self.gone_or(MintError::Forbidden).await?),
            },
            answer => Ok(answer?),
        }
    }

    /// Makes an organization (or, by an empty name, the personal account) the session's active one. Brings the
    /// organization's id and the session token of it.
    async fn touch(&self, active: &mut Active, name: &str) -> Result<(Box<str>, Minted), MintError> {
        let (id, client) = (&self.session.id, &self.session.client);
        // Unknown until there is an answer: the touch may count though its answer is lost.
        *active = Active::Unknown;
        let touched = match self.fapi.touch(id, client, name).await {
            Err(error) if error.class == ErrorClass::NotFound => {
                return Err(self.gone_or(MintError::Forbidden).await?);
            }
            answer => answer?,
        };
        *active = touched.active_organization.clone().into();
        if touched.pending.is_some() {
            return Err(MintError::ActionRequired);
        }
        self.session.choose_organization.store(false, Ordering::Relaxed);
        let organization = match (touched.active_organization, name) {
            (Some(id), _) => id,
            (None, "") => Box::default(),
            (None, _) => return Err(MintError::Forbidden),
        };
        let minted = match touched.token {
            Some(minted) => minted,
            None if organization.is_empty() => self.fapi.mint(id, client, MintFor::Personal, None).await?,
            None => self.fapi.mint(id, client, MintFor::Organization(&organization), None).await?,
        };
        Ok((organization, minted))
    }

    /// After a 404 that doesn't say what is missing: the session, or something else.
    async fn gone_or(&self, otherwise: MintError) -> Result<MintError, ApiError> {
        let is_live = self.fapi.session_is_live(&self.session.id, &self.session.client).await?;
        Ok(if is_live { otherwise } else { MintError::Gone })
    }
}
