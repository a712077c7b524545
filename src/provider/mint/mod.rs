//! The calls that mint a token (rules S7, S8), and the checks of the token before it is used (rule S9).

mod backend;
mod error;
mod frontend;
mod verifier;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

pub(crate) use self::error::MintError;
pub(crate) use self::verifier::{TokenLife, Verifier};
use super::Provider;
use crate::access::Access;
use crate::organization::Organization;
use crate::scope::OrganizationName;
use crate::sessions::{Active, Holding, Session, SessionState};
use crate::token::VerifiedToken;

const MISSING_TEMPLATE: &str =
    "the JWT template can't be minted: create it in Clerk's dashboard under JWT templates";

/// A request for one token.
pub(crate) struct MintRequest<'a> {
    pub(crate) holding: &'a Holding,
    /// The holding's first session.
    pub(crate) session: &'a Arc<Session>,
    pub(crate) access: &'a Access,
    /// The name of the JWT template, or `None` for a session token.
    pub(crate) template: Option<&'a str>,
    /// The lock from [`Provider::lock_to_touch`].
    pub(crate) active: Option<MutexGuard<'a, Active>>,
    /// For all calls of this mint together.
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
}

/// A verified token, fresh from Clerk.
pub(crate) struct NewToken {
    pub(crate) token: VerifiedToken,
    pub(crate) life: TokenLife,
    /// The organization of a template token, which need not name it.
    pub(crate) organization: Option<Organization>,
}

impl Provider {
    /// Locks the session's active organization if minting this token may have to touch it (rule S8). The Backend API
    /// never touches a session.
    pub(crate) async fn lock_to_touch<'a>(
        &self,
        session: &'a Session,
        organization: Option<&OrganizationName>,
        template: Option<&str>,
    ) -> Option<MutexGuard<'a, Active>> {
        let touches = match self {
            Self::Frontend(_) => template.is_some() || needs_touch(session, organization),
            Self::Backend(_) => false,
        };
        if touches { Some(session.active_organization.lock().await) } else { None }
    }

    /// Mints a token, and returns it with the session that it was minted for.
    pub(crate) async fn mint(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        let (user, organization) = (&request.holding.user, request.access.scope.organization.as_ref());
        let minted = match self {
            Self::Frontend(frontend) => frontend.mint(request, verifier).await,
            Self::Backend(backend) => backend.mint(request, verifier).await,
        };
        // The slug may have been given to another organization since it was looked up.
        if matches!(minted, Err(MintError::Forbidden))
            && let Some(slug) = organization
        {
            user.forget_membership(slug);
        }
        minted
    }
}

/// Whether a token of the organization takes a touch, since only Clerk can resolve its slug, or since the session is
/// pending until an organization is chosen.
fn needs_touch(session: &Session, organization: Option<&OrganizationName>) -> bool {
    match organization {
        None => false,
        Some(_) if session.choose_organization.load(Ordering::Relaxed) => true,
        Some(OrganizationName::Id(_)) => false,
        Some(slug) => session.user.member_of(slug).is_none(),
    }
}

fn mark_if_gone(session: &Session, error: &MintError) {
    if matches!(error, MintError::Gone) {
        session.advance(SessionState::Gone);
    }
}

/// Checks that the token names the requested organization, by its resolved id and by the slug in the request, and no
/// organization if the request names none.
fn check_organization(
    token: &VerifiedToken,
    asked: Option<&OrganizationName>,
    id: &str,
) -> Result<(), MintError> {
    let named = token.claims().organization();
    let fits = match (named, asked) {
        (None, None) => true,
        (Some(_), None) => {
            tracing::warn!(
                "Clerk issued a token for an organization where none was asked for: this instance forces an \
                 organization on its users; set one on the layer"
            );
            false
        }
        (Some(named), Some(OrganizationName::Slug(slug))) => {
            named.id() == id && named.slug().is_none_or(|named| named == &**slug)
        }
        (Some(named), Some(OrganizationName::Id(_))) => named.id() == id,
        (None, Some(_)) | (Some(_), Some(OrganizationName::Malformed | OrganizationName::Unlisted)) => false,
    };
    if fits { Ok(()) } else { Err(MintError::Forbidden) }
}

/// Checks that a template token names no organization, or the one of the session token that was minted with it.
fn check_template(token: &VerifiedToken, member: Option<&Organization>) -> Result<(), MintError> {
    match (token.claims().organization(), member) {
        (None, _) => Ok(()),
        (Some(named), Some(member)) if named.id() == member.id() => Ok(()),
        (Some(_), _) => Err(MintError::Forbidden),
    }
}
