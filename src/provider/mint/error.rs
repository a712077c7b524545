//! Why there is no token.

use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass};
use crate::sessions::TokenRefusal;

/// Why there is no token.
#[derive(Clone, Debug)]
pub(crate) enum MintError {
    /// The session is over at Clerk: a new sign-in is due (rule K4).
    Gone,
    /// The user is not one of the organization's.
    Forbidden,
    /// The user is refused altogether.
    Refused(CredentialRefusal),
    /// The session waits for its user to do something.
    ActionRequired,
    /// The set-up can't bring what is asked for; what to do about it.
    Misconfigured(&'static str),
    /// No session of this user is for that organization yet: one has to be opened.
    NoSession,
    /// Something that the token is about was revoked while it was minted.
    Superseded,
    Api(ApiError),
}

impl MintError {
    /// A error on our side of the wire, named for the log.
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
    /// What is worth remembering of it for a while: asking again would bring the same.
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
