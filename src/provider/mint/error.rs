//! The errors of a mint.

use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass};
use crate::sessions::TokenRefusal;

/// An error of a mint.
#[derive(Clone, Debug)]
pub(crate) enum MintError {
    /// The session is over at Clerk, so the password must be proven again (rule K4).
    Gone,
    /// The user is not a member of the organization.
    Forbidden,
    /// Clerk refuses the user.
    Refused(CredentialRefusal),
    /// The session is pending until the user completes a task at Clerk.
    ActionRequired,
    /// The instance or this engine is not set up for such a token. The text says how to fix that.
    Misconfigured(&'static str),
    /// The user has no session for the organization yet, so one must be opened (Backend API).
    NoSession,
    /// A revocation overtook the mint.
    Superseded,
    Api(ApiError),
}

impl MintError {
    /// An error that is not in an answer from Clerk, with a code for the log.
    pub(crate) fn lost(code: &str) -> Self {
        Self::Api(ApiError::unavailable(code))
    }
}

impl From<TokenRefusal> for MintError {
    fn from(refused: TokenRefusal) -> Self {
        match refused {
            TokenRefusal::Forbidden => Self::Forbidden,
            TokenRefusal::ActionRequired => Self::ActionRequired,
            TokenRefusal::Misconfigured(what) => Self::Misconfigured(what),
            TokenRefusal::Unknown => Self::Api(ApiError::coded(ErrorClass::Unknown, "unknown_answer")),
        }
    }
}

impl MintError {
    /// The refusal to remember for a while, if another mint would end the same way.
    pub(crate) fn lasting(&self) -> Option<TokenRefusal> {
        match self {
            Self::Forbidden => Some(TokenRefusal::Forbidden),
            Self::ActionRequired => Some(TokenRefusal::ActionRequired),
            Self::Misconfigured(what) => Some(TokenRefusal::Misconfigured(what)),
            Self::Api(error) if error.class == ErrorClass::Unknown => Some(TokenRefusal::Unknown),
            _ => None,
        }
    }
}

impl From<ApiError> for MintError {
    fn from(error: ApiError) -> Self {
        match error.class {
            ErrorClass::SessionGone => Self::Gone,
            ErrorClass::OrganizationForbidden => Self::Forbidden,
            ErrorClass::Refused(refusal) => Self::Refused(refusal),
            ErrorClass::ActionRequired => Self::ActionRequired,
            _ => Self::Api(error),
        }
    }
}
