//! Which calls bring the token that is asked for (rules S7, S8).

use std::sync::atomic::Ordering;

use super::verified::{Subject, Verified};
use super::{MintFault, Minter};
use crate::clerk_api::fapi::MintFor;
use crate::clerk_api::{Fault, Meaning, Minted};
use crate::organization::Organization;
use crate::scope::OrganizationName;
use crate::sessions::{Active, HeldToken, Session};
use crate::token::VerifiedToken;

pub(super) const UNUSABLE_TEMPLATE: &str = "the name of the JWT template is none: [A-Za-z0-9_-]{1,128}";
pub(super) const MISSING_TEMPLATE: &str =
    "the JWT template can't be minted: create it in Clerk's dashboard under JWT templates";

impl Minter {
    /// Whether the organization has to be made the session's active one to get a token of it: a slug that only Clerk
    /// can resolve, or a session that waits for its user to choose one.
    pub(super) fn needs_touch(&self, session: &Session, organization: Option<&OrganizationName>) -> bool {
        match organization {
            None => false,
            Some(_) if session.choose_organization.load(Ordering::Relaxed) => true,
            Some(OrganizationName::Id(_)) => false,
            Some(slug) => session.member_of(slug).is_none(),
        }
    }

    pub(super) async fn mint_session_token(
        &self,
        session: &Session,
        organization: Option<&OrganizationName>,
        active: Option<&mut Active>,
        last: Option<&HeldToken>,
    ) -> Result<Verified, MintFault> {
        let subject = Subject::of(session);
        let Some(organization) = organization else {
            if session.choose_organization.load(Ordering::Relaxed) {
                return Err(MintFault::ActionRequired);
            }
            let minted = self.mint_for(session, last, MintFor::Personal).await?;
            let (token, life) = self.verified(minted, subject, true).await?;
            personal(&token)?;
            return Ok((token, life, None));
        };
        let known = match organization {
            OrganizationName::Id(id) => Some(&**id),
            slug => session.member_of(slug),
        };
        let (id, minted) = match (active, known) {
            (Some(active), _) => self.touch(session, active, organization.as_str()).await?,
            (None, Some(id)) => (id.into(), self.mint_for(session, last, MintFor::Organization(id)).await?),
            (None, None) => return Err(MintFault::Forbidden),
        };
        let (token, life) = self.verified(minted, subject, true).await?;
        named(token.claims().organization(), organization, &id)?;
        Ok((token, life, None))
    }

    /// `/tokens` with what there is to try when Clerk wants to see the expired token, or finds something missing.
    async fn mint_for(
        &self,
        session: &Session,
        last: Option<&HeldToken>,
        organization: MintFor<'_>,
    ) -> Result<Minted, MintFault> {
        let mut answer = self.fapi.mint(&session.id, &session.client, organization, None).await;
        if answer.as_ref().is_err_and(|fault| fault.meaning == Meaning::MissingExpiredToken)
            && let Some(last) = last
        {
            let expired = Some(last.session.token());
            answer = self.fapi.mint(&session.id, &session.client, organization, expired).await;
        }
        match answer {
            Ok(minted) => Ok(minted),
            // Without an organization, what isn't found is the session. With one it may be either.
            Err(fault) if fault.meaning == Meaning::NotFound && organization == MintFor::Personal => {
                Err(MintFault::Gone)
            }
            Err(fault) if fault.meaning == Meaning::NotFound => {
                Err(self.gone_or(session, MintFault::Forbidden).await?)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Makes an organization (or, by an empty name, the personal account) the session's active one. Brings the
    /// organization's id and the session token of it.
    async fn touch(
        &self,
        session: &Session,
        active: &mut Active,
        name: &str,
    ) -> Result<(Box<str>, Minted), MintFault> {
        // Until there is an answer, nobody knows: the touch may count though its answer is lost.
        *active = Active::Unknown;
        let touched = match self.fapi.touch(&session.id, &session.client, name).await {
            Ok(touched) => touched,
            Err(fault) if fault.meaning == Meaning::NotFound => {
                return Err(self.gone_or(session, MintFault::Forbidden).await?);
            }
            Err(fault) => return Err(fault.into()),
        };
        *active = touched.active_organization.clone().into();
        if touched.pending.is_some() {
            return Err(MintFault::ActionRequired);
        }
        session.choose_organization.store(false, Ordering::Relaxed);
        let id = match (touched.active_organization, name) {
            (Some(id), _) => id,
            (None, "") => Box::default(),
            (None, _) => return Err(MintFault::Forbidden),
        };
        let minted = match touched.token {
            Some(minted) => minted,
            None => {
                let organization = if id.is_empty() { MintFor::Personal } else { MintFor::Organization(&id) };
                self.fapi.mint(&session.id, &session.client, organization, None).await?
            }
        };
        Ok((id, minted))
    }

    /// A template's token follows the session's active organization, so the touch and the mint are one critical
    /// section. Its token need not name the organization; the session token that the touch brings does.
    pub(super) async fn mint_template(
        &self,
        session: &Session,
        organization: Option<&OrganizationName>,
        template: &str,
        active: Option<&mut Active>,
    ) -> Result<Verified, MintFault> {
        let subject = Subject::of(session);
        let Some(active) = active else { return Err(MintFault::lost("no_critical_section")) };
        let member = match organization {
            None if *active == Active::Personal && !session.choose_organization.load(Ordering::Relaxed) => {
                None
            }
            // Touched each time, also where it is the active one as far as is known: the token may say nothing of the
            // organization, and then the touch alone tells that the user is still a member.
            organization => {
                let name = organization.map_or("", OrganizationName::as_str);
                let (id, minted) = self.touch(session, active, name).await?;
                let (token, _) = self.verified(minted, subject, true).await?;
                match organization {
                    None => personal(&token)?,
                    Some(organization) => named(token.claims().organization(), organization, &id)?,
                }
                token.claims().organization().cloned()
            }
        };
        let minted = match self.fapi.mint_template(&session.id, &session.client, template).await {
            Ok(minted) => minted,
            Err(fault) if fault.meaning == Meaning::NotFound => {
                return Err(self.gone_or(session, MintFault::Misconfigured(MISSING_TEMPLATE)).await?);
            }
            Err(fault) => return Err(fault.into()),
        };
        let (token, life) = self.verified(minted, subject, false).await?;
        match (token.claims().organization(), &member) {
            (None, _) => {}
            (Some(named), Some(member)) if named.id() == member.id() => {}
            (Some(_), _) => return Err(MintFault::Forbidden),
        }
        Ok((token, life, member))
    }

    /// After a 404 that doesn't say what is missing: the session, or something else.
    async fn gone_or(&self, session: &Session, otherwise: MintFault) -> Result<MintFault, Fault> {
        let is_live = self.fapi.session_is_live(&session.id, &session.client).await?;
        Ok(if is_live { otherwise } else { MintFault::Gone })
    }
}

/// The token must name the organization asked for, by the id it was resolved to and by the slug it was asked by.
pub(super) fn named(
    organization: Option<&Organization>,
    asked: &OrganizationName,
    id: &str,
) -> Result<(), MintFault> {
    let fits = organization.is_some_and(|organization| {
        let by_slug = match asked {
            OrganizationName::Id(_) => true,
            OrganizationName::Slug(slug) => organization.slug().is_none_or(|named| named == &**slug),
            OrganizationName::Malformed => false,
        };
        organization.id() == id && by_slug
    });
    if fits { Ok(()) } else { Err(MintFault::Forbidden) }
}

/// The token must name none.
pub(super) fn personal(token: &VerifiedToken) -> Result<(), MintFault> {
    if token.claims().organization().is_none() {
        return Ok(());
    }
    tracing::warn!(
        "Clerk issued a token for an organization where none was asked for: this instance forces an \
         organization on its users; set one on the layer"
    );
    Err(MintFault::Forbidden)
}
