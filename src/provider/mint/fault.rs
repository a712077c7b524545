//! Why there is no token.

use crate::clerk_api::{Fault, Meaning, Refusal};
use crate::sessions::Refused;

/// Why there is no token.
#[derive(Clone, Debug)]
pub(crate) enum MintFault {
    /// The session is over at Clerk: a new sign-in is due (rule K4).
    Gone,
    /// The user is not one of the organization's.
    Forbidden,
    /// The user is refused altogether.
    Refused(Refusal),
    /// The session waits for its user to do something.
    ActionRequired,
    /// The set-up can't bring what is asked for; what to do about it.
    Misconfigured(&'static str),
    /// No session of this user is for that organization yet: one has to be opened.
    NoSession,
    /// Something that the token is about was revoked while it was minted.
    Superseded,
    Fault(Fault),
}

impl MintFault {
    /// A fault on our side of the wire, named for the log.
    pub(crate) fn lost(code: &str) -> Self {
        Self::Fault(Fault::unavailable(code))
    }
}

impl From<Refused> for MintFault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden => Self::Forbidden,
            Refused::ActionRequired => Self::ActionRequired,
            Refused::Misconfigured(what) => Self::Misconfigured(what),
            Refused::Unknown => Self::Fault(Fault::coded(Meaning::Unknown, "unknown_answer")),
        }
    }
}

impl MintFault {
    /// What is worth remembering of it for a while: asking again would bring the same.
    pub(crate) fn lasting(&self) -> Option<Refused> {
        match self {
            Self::Forbidden => Some(Refused::Forbidden),
            Self::ActionRequired => Some(Refused::ActionRequired),
            Self::Misconfigured(what) => Some(Refused::Misconfigured(what)),
            Self::Fault(fault) if fault.meaning == Meaning::Unknown => Some(Refused::Unknown),
            _ => None,
        }
    }
}

impl From<Fault> for MintFault {
    fn from(fault: Fault) -> Self {
        match fault.meaning {
            Meaning::SessionGone => Self::Gone,
            Meaning::OrganizationForbidden => Self::Forbidden,
            Meaning::Refused(refusal) => Self::Refused(refusal),
            Meaning::ActionRequired => Self::ActionRequired,
            _ => Self::Fault(fault),
        }
    }
}
