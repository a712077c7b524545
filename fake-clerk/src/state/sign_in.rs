//! The state of a sign-in attempt.

use tokio::time::Instant;

use crate::clock::Now;
use crate::ids;

/// Time within which an attempt can be continued.
const LIFE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    NeedsIdentifier,
    NeedsFirstFactor,
    NeedsSecondFactor,
    NeedsClientTrust,
    NeedsNewPassword,
    Complete,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NeedsIdentifier => "needs_identifier",
            Self::NeedsFirstFactor => "needs_first_factor",
            Self::NeedsSecondFactor => "needs_second_factor",
            Self::NeedsClientTrust => "needs_client_trust",
            Self::NeedsNewPassword => "needs_new_password",
            Self::Complete => "complete",
        }
    }
}

/// The progress of one factor.
#[derive(Clone)]
pub(crate) struct Verification {
    pub(crate) strategy: &'static str,
    pub(crate) verified: bool,
    pub(crate) attempts: u32,
    /// The mailed code and its expiry.
    pub(crate) code: Option<(String, Instant)>,
}

/// The client's state in Device Trust.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientTrust {
    /// Device Trust doesn't apply to this sign-in.
    Unasked,
    New,
    Known,
}

#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) identifier: Option<String>,
    /// The user with the identifier; `None` also if no user has it and the instance hides that.
    pub(crate) user: Option<String>,
    pub(crate) first: Option<Verification>,
    pub(crate) second: Option<Verification>,
    pub(crate) trust: ClientTrust,
    pub(crate) session: Option<String>,
    /// The initial organization of the session.
    pub(crate) organization: Option<String>,
    pub(crate) abandon: Instant,
}

impl SignIn {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            id: ids::random("sia"),
            status: Status::NeedsIdentifier,
            identifier: None,
            user: None,
            first: None,
            second: None,
            trust: ClientTrust::Unasked,
            session: None,
            organization: None,
            abandon: now.instant + LIFE,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.status == Status::Complete
    }

    /// Whether the first factor was this strategy.
    pub(crate) fn is_by(&self, strategy: &str) -> bool {
        self.first.as_ref().is_some_and(|first| first.strategy == strategy)
    }

    pub(crate) fn is_abandoned(&self, now: Now) -> bool {
        !self.is_complete() && now.instant >= self.abandon
    }
}
