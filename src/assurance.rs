//! The words of a provider about how its subject was authenticated.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The words of a session's assertion about its subject, and about how a person was authenticated.
///
/// [`ClerkSession::assurance`](crate::ClerkSession::assurance) returns it for a session that
/// [`Clerk::exchange`](crate::Clerk::exchange) has given for an assertion. The provider vouches for it, and its values mean
/// what that provider means by them. `Debug` doesn't show the subject, which may be personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Assurance {
    pub(crate) provider: Arc<str>,
    pub(crate) subject: Box<str>,
    pub(crate) amr: Box<[Box<str>]>,
    pub(crate) acr: Option<Box<str>>,
    /// In seconds since the Unix epoch.
    pub(crate) auth_time: Option<u64>,
    pub(crate) is_workload: bool,
    /// When the subject was authenticated, by the monotonic clock: `auth_time`, or `iat` without one. `None` if that is
    /// before every instant of this machine.
    pub(crate) authenticated: Option<Instant>,
}

impl Assurance {
    /// Returns the issuer of the provider, such as `https://accounts.google.com`.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the value of the claim by which the user was found: `sub`, or the one that
    /// [`subject_claim`](crate::federation::Provider::subject_claim) names.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the `amr` of the assertion: the methods by which the person was authenticated
    /// ([RFC 8176](https://www.rfc-editor.org/rfc/rfc8176)). There are none if the provider doesn't tell.
    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.amr.iter().map(AsRef::as_ref)
    }

    /// Returns the `acr` of the assertion: the class of its authentication, by the provider's own names.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// Returns the time at which the person was authenticated (`auth_time`), by the provider's clock, if it tells.
    #[must_use]
    pub fn auth_time(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.auth_time?))
    }

    /// Returns whether the subject is a workload, such as a CI job, and no person.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        self.is_workload
    }
}

impl fmt::Debug for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assurance")
            .field("provider", &self.provider)
            .field("amr", &self.amr)
            .field("acr", &self.acr)
            .field("auth_time", &self.auth_time)
            .field("is_workload", &self.is_workload)
            .finish_non_exhaustive()
    }
}
