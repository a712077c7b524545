//! The providers of an engine.

use super::{ClerkBuilder, ConfigError};
use crate::federation::{Provider, ProviderError, ProviderErrorKind, TrustedProvider};

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

pub(super) fn checked_providers(providers: Vec<Provider>) -> Result<Vec<TrustedProvider>, ConfigError> {
    let mut checked: Vec<TrustedProvider> = Vec::new();
    for provider in providers {
        let provider = provider.check().map_err(ConfigError::Provider)?;
        if checked.iter().any(|other| other.issuer == provider.issuer) {
            let problem = "another provider of this engine has the same issuer";
            let error = ProviderError::new(&provider.issuer, ProviderErrorKind::Issuer, problem);
            return Err(ConfigError::Provider(error));
        }
        checked.push(provider);
    }
    Ok(checked)
}
