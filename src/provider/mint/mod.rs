//! Which calls bring a token (rules S7, S8), and what is checked of it before it is handed on (S9).

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

/// A token to be minted.
pub(crate) struct MintRequest<'a> {
    pub(crate) holding: &'a Holding,
    /// The holding's first session.
    pub(crate) session: &'a Arc<Session>,
    pub(crate) access: &'a Access,
    /// The name of the template, if the token is made by one.
    pub(crate) template: Option<&'a str>,
    /// From [`Provider::lock_to_touch`].
    pub(crate) active: Option<MutexGuard<'a, Active>>,
    /// For all its calls.
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
}

/// A verified token, fresh from Clerk.
pub(crate) struct NewToken {
    pub(crate) token: VerifiedToken,
    pub(crate) life: TokenLife,
    /// The organization that it was minted for, where the token itself doesn't say.
    pub(crate) organization: Option<Organization>,
}

impl Provider {
    /// Takes the lock of touch-and-mint where this token takes a touch. With the secret key no session is touched.
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

    /// Brings a token, and says which session it was minted for.
    pub(crate) async fn mint(
        &self,
        request: MintRequest<'_>,
        verifier: &Verifier,
    ) -> Result<(NewToken, Arc<Session>), MintError> {
        match self {
            Self::Frontend(frontend) => frontend.mint(request, verifier).await,
            Self::Backend(backend) => backend.mint(request, verifier).await,
        }
    }
}

/// Whether the organization has to be made the session's active one to get a token of it: a slug that only Clerk can
/// resolve, or a session that waits for its user to choose one.
fn needs_touch(session: &Session, organization: Option<&OrganizationName>) -> bool {
    match organization {
        None => false,
        Some(_) if session.choose_organization.load(Ordering::Relaxed) => true,
        Some(OrganizationName::Id(_)) => false,
        Some(slug) => session.user.member_of(slug).is_none(),
    }
}

/// Marks a session of which Clerk has said that it is over.
fn mark_if_gone(session: &Session, error: &MintError) {
    if matches!(error, MintError::Gone) {
        session.advance(SessionState::Gone);
    }
}

/// Checks that the token names the organization asked for: by the id that it was resolved to, and by the slug that it was
/// asked by. Where none was asked for, it must name none.
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
        (None, Some(_)) | (Some(_), Some(OrganizationName::Malformed)) => false,
    };
    if fits { Ok(()) } else { Err(MintError::Forbidden) }
}

/// Checks that a template's token names no other organization than the session token did that was minted with it. It need
/// not name any.
fn check_template(token: &VerifiedToken, member: Option<&Organization>) -> Result<(), MintError> {
    match (token.claims().organization(), member) {
        (None, _) => Ok(()),
        (Some(named), Some(member)) if named.id() == member.id() => Ok(()),
        (Some(_), _) => Err(MintError::Forbidden),
    }
}
