//! Settings of a provider that are unusable or too wide.

use std::error::Error as StdError;
use std::fmt;

/// Settings of a [`Provider`](super::Provider) with which its assertions would be accepted too widely, or never.
///
/// [`ClerkBuilder::build`](crate::ClerkBuilder::build) returns it within a [`ConfigError`](crate::ConfigError). Its message
/// names the provider and says what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderError {
    issuer: Box<str>,
    kind: ProviderErrorKind,
    problem: Box<str>,
}

/// The setting that a [`ProviderError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The issuer is no address of https, or of this machine, or it is that of another provider of the engine.
    Issuer,
    /// The audiences or the authorized parties.
    Audience,
    /// The algorithms.
    Algorithm,
    /// Where the keys come from: an address, a file, a certificate or a transport.
    KeySet,
    /// The claim that names the subject.
    SubjectClaim,
    /// The links to users, or there is neither a link nor a rule, or both.
    Mapping,
    /// A rule for workloads.
    Rule,
    /// The policy on second factors.
    SecondFactor,
    /// A duration is out of its bounds.
    Duration,
}

impl ProviderError {
    pub(crate) fn new(issuer: &str, kind: ProviderErrorKind, problem: impl Into<Box<str>>) -> Self {
        Self { issuer: issuer.into(), kind, problem: problem.into() }
    }

    /// The error of a layer that accepts the assertions of a provider which its engine doesn't have.
    pub(crate) fn unknown(issuer: &str) -> Self {
        let problem = "the engine has no provider with this issuer: give it to `ClerkBuilder::provider`";
        Self::new(issuer, ProviderErrorKind::Issuer, problem)
    }

    /// The error of a service that takes assertions on an engine that trusts no provider.
    #[cfg(feature = "token-endpoint")]
    pub(crate) fn none() -> Self {
        Self::new(
            "",
            ProviderErrorKind::Issuer,
            "the engine has no provider: give it one with `ClerkBuilder::provider`",
        )
    }

    /// Returns which setting is unusable.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the provider {:?} is unusable: {}", self.issuer, self.problem)
    }
}

// The message, too, since a program prints it whose `main` returns the error.
impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for ProviderError {}
