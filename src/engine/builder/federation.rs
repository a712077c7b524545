//! The providers of an engine.

use super::{ClerkBuilder, ConfigError};
use crate::federation::{Provider, ProviderError, ProviderErrorKind, TrustedProvider};
use crate::instance::Instance;

impl ClerkBuilder {
    /// Trusts an identity provider: its assertions can be [exchanged](crate::Clerk::exchange) for sessions. Needs a
    /// [`secret_key`](Self::secret_key).
    ///
    /// An engine can have several, each with an issuer of its own. Settings that are unusable or too wide are
    /// [errors](ConfigError::Provider) of [`build`](Self::build).
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }
}

/// Checks the providers of an engine for an instance whose tokens have one of these issuers.
pub(super) fn checked_providers(
    providers: Vec<Provider>,
    own: &[&str],
) -> Result<Vec<TrustedProvider>, ConfigError> {
    let mut checked: Vec<TrustedProvider> = Vec::new();
    for provider in providers {
        let provider = provider.check().map_err(ConfigError::Provider)?;
        let refuse = |problem: &str| {
            let error = ProviderError::new(&provider.issuer, ProviderErrorKind::Issuer, problem);
            Err(ConfigError::Provider(error))
        };
        // A layer would take Clerk's own tokens for assertions, and refuse them.
        if own.iter().any(|own| is_same_address(own, &provider.issuer)) {
            return refuse(
                "it is the issuer of this Clerk instance's own tokens: a layer accepts them by `accept_bearer`, without a \
                 provider",
            );
        }
        if checked.iter().any(|other| other.issuer == provider.issuer) {
            return refuse("another provider of this engine has the same issuer");
        }
        checked.push(provider);
    }
    Ok(checked)
}

/// Whether both are one address, however each is written.
fn is_same_address(one: &str, other: &str) -> bool {
    match (Instance::parse(one), Instance::parse(other)) {
        (Ok(one), Ok(other)) => one.issuer() == other.issuer(),
        _ => one == other,
    }
}
