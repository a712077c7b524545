//! Sign-in tokens, which the Backend API creates.

use tokio::time::Instant;

/// The status of a sign-in token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TicketStatus {
    Pending,
    Accepted,
    Revoked,
}

impl TicketStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
        }
    }
}

/// A sign-in token. The text that the user presents is a signed copy of its id.
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) organization: Option<String>,
    pub(crate) status: TicketStatus,
    pub(crate) expires: Instant,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
}
