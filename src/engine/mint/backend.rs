//! Tokens on the Backend API's road: by the Frontend API as long as it takes part and the session's client is known,
//! which spares the key's budget, and else with the secret key.
//!
//! The key mints for a session's active organization alone. So no session on this road is ever touched: each is for the
//! organization that it was opened for, and another organization is another session's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::calls::{named, personal};
use super::verified::{Subject, Verified};
use super::{MintFault, Minter, gone};
use crate::access::Access;
use crate::clerk_api::{Fault, Meaning, TimeLeft};
use crate::provider::Backend;
use crate::scope::OrganizationName;
use crate::sessions::{Holding, Session, SessionState};

/// A Frontend API that doesn't answer is left alone for so long.
const REST: Duration = Duration::from_secs(10);

impl Minter {
    /// Brings a token, and says which session it is of.
    pub(super) async fn mint_on_backend(
        &self,
        backend: &Backend,
        holding: &Holding,
        access: &Access,
        template: Option<&str>,
    ) -> Result<(Verified, Arc<Session>), MintFault> {
        let organization = access.scope.organization.as_ref();
        let first = holding.session();
        if template.is_none() && self.frontend_serves(backend, &first, organization) {
            // A third of the time, so that there is some left for the other way, and for a turn on it.
            let last = holding.last_token(access);
            let by_client = self.mint_session_token(&first, organization, None, last.as_deref());
            let minted = tokio::time::timeout(self.timeout / 3, by_client).await;
            match minted.unwrap_or_else(|_| Err(MintFault::lost("timeout"))) {
                Err(MintFault::Fault(fault))
                    if matches!(
                        fault.meaning,
                        Meaning::RateLimited | Meaning::Unavailable | Meaning::Unknown
                    ) =>
                {
                    self.rest_frontend(&fault);
                }
                minted => {
                    let minted = minted.inspect_err(|fault| gone(&first, fault));
                    return minted.map(|token| (token, first));
                }
            }
        }
        let session = holding.session_for(organization).ok_or(MintFault::NoSession)?;
        let minted = self.mint_by_key(backend, &session, organization, template).await;
        // The user has left the organization, and Clerk has taken it from the session. It is good for nothing more, also
        // if the user should come back.
        if matches!(minted, Err(MintFault::Forbidden)) && organization.is_some() {
            backend.forget(&session).await;
            session.lose_organization();
            session.advance(SessionState::Ending);
        }
        minted.inspect_err(|fault| gone(&session, fault)).map(|token| (token, session))
    }

    fn frontend_serves(
        &self,
        backend: &Backend,
        session: &Session,
        organization: Option<&OrganizationName>,
    ) -> bool {
        let is_known = match organization {
            // Clerk resolves slugs by a touch alone; the key knows the user's organizations.
            Some(slug @ OrganizationName::Slug(_)) => session.member_of(slug).is_some(),
            _ => true,
        };
        is_known
            && backend.options.token_lifetime.is_none()
            && session.client.current().is_some()
            && !session.choose_organization.load(Ordering::Relaxed)
            && self.limits.backoff.left(self.clock.now()).is_none()
    }

    fn rest_frontend(&self, fault: &Fault) {
        let pause = match fault.meaning {
            Meaning::RateLimited => fault.retry_after,
            _ => Some(REST),
        };
        self.limits.backoff.begin(pause, self.clock.now());
    }

    async fn mint_by_key(
        &self,
        backend: &Backend,
        session: &Session,
        organization: Option<&OrganizationName>,
        template: Option<&str>,
    ) -> Result<Verified, MintFault> {
        let subject = Subject::of(session);
        let mut time = TimeLeft::new(self.timeout, self.clock);
        if organization.is_none() && session.choose_organization.load(Ordering::Relaxed) {
            return Err(MintFault::ActionRequired);
        }
        // A template's token need not name the organization: the session's own tells that the user is still a member.
        let plain = if template.is_none() || organization.is_some() {
            let minted = self.by_key(backend, session, None, &mut time).await?;
            let (token, life) = self.verified(minted, subject, true).await?;
            match organization {
                None => personal(&token)?,
                Some(organization) => {
                    let id = token.claims().organization().map(|it| it.id().to_owned()).unwrap_or_default();
                    let asked = match organization {
                        OrganizationName::Id(id) => id,
                        _ => &*id,
                    };
                    named(token.claims().organization(), organization, asked)?;
                }
            }
            Some((token, life))
        } else {
            None
        };
        let Some(template) = template else {
            return plain.map(|(token, life)| (token, life, None)).ok_or(MintFault::Forbidden);
        };
        let member = plain.and_then(|(token, _)| token.claims().organization().cloned());
        let minted = self.by_key(backend, session, Some(template), &mut time).await?;
        let (token, life) = self.verified(minted, subject, false).await?;
        match (token.claims().organization(), &member) {
            (None, _) => {}
            (Some(named), Some(member)) if named.id() == member.id() => {}
            (Some(_), _) => return Err(MintFault::Forbidden),
        }
        Ok((token, life, member))
    }

    async fn by_key(
        &self,
        backend: &Backend,
        session: &Session,
        template: Option<&str>,
        time: &mut TimeLeft,
    ) -> Result<crate::clerk_api::Minted, MintFault> {
        let life = backend.options.token_lifetime;
        match backend.bapi.mint(&session.id, template, life, time).await {
            // What isn't there is the session, or the template.
            Err(fault) if fault.meaning == Meaning::NotFound => {
                let is_live = backend.bapi.session_is_live(&session.id, time).await?;
                Err(match template {
                    _ if !is_live => MintFault::Gone,
                    Some(_) => MintFault::Misconfigured(super::calls::MISSING_TEMPLATE),
                    None => MintFault::Fault(fault),
                })
            }
            answer => answer.map_err(Into::into),
        }
    }
}
