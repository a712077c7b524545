//! From settings to checked settings, and to an engine.

use std::sync::Arc;
use std::time::Duration;

use super::defaults::{
    BACKEND_URL, DAY, DEVELOPMENT_BACKEND_RATE, HOUR, LEAST_TOKEN_LIFETIME, MOST_CALLS, MOST_SESSIONS,
    PRODUCTION_BACKEND_RATE, SECOND, SIGN_IN_QUEUE,
};
#[cfg(feature = "federation")]
use super::federation::checked_providers;
use super::{ClerkBuilder, ConfigError};
use crate::clerk_api::HttpTransport;
use crate::clerk_api::bapi::SecretKey;
use crate::engine::Clerk;
use crate::engine::setup::{BackendSetup, Setup};
use crate::instance::{Environment, Instance, InstanceError};
use crate::jitter::Jitter;
use crate::key::KeySecret;
use crate::limits::Budget;
use crate::settings::Settings;
use crate::store::{MemoryDevices, MemorySessions};
use crate::transport::Transport;

impl ClerkBuilder {
    /// Builds the engine.
    ///
    /// Nothing is sent to Clerk yet, and no runtime is needed yet. [`Clerk::preflight`] asks Clerk whether the
    /// instance's settings let users in.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the instance, the secret key or a setting is unusable. No setting is corrected
    /// silently.
    pub fn build(self) -> Result<Clerk, ConfigError> {
        check(&self.settings)?;
        let instance = Instance::parse(&self.instance).map_err(ConfigError::Instance)?;
        let transport = self.transport_to(&instance)?;
        let backend = match &self.secret_key {
            Some(key) => Some(self.backend(key, &instance, &transport)?),
            None => {
                self.check_without_key()?;
                None
            }
        };
        #[cfg(feature = "federation")]
        let providers = checked_providers(self.providers)?;
        let issuer = self.issuer.unwrap_or_else(|| instance.issuer().to_owned());
        let secret = self.credential_secret.map_or_else(KeySecret::random, |secret| KeySecret::from(*secret));
        let secret = KeySecret::for_instance(secret, instance.issuer());
        let (sign_ins, wait) = (self.settings.sign_in_rate, self.settings.sign_in_wait);
        Ok(Clerk::from_setup(Setup {
            instance,
            issuer,
            transport,
            secret,
            settings: self.settings,
            budget: Budget { sign_ins, wait, queue: SIGN_IN_QUEUE },
            devices: self.devices.unwrap_or_else(|| Arc::<MemoryDevices>::default()),
            backend,
            #[cfg(feature = "federation")]
            providers,
            clock: self.clock.unwrap_or_default(),
            jitter: self.jitter.map_or_else(Jitter::random, Jitter::seeded),
        }))
    }

    fn transport_to(&self, instance: &Instance) -> Result<Arc<dyn Transport>, ConfigError> {
        match &self.transport {
            Some(transport) => Ok(Arc::clone(transport)),
            None if instance.is_https() && cfg!(not(feature = "rustls")) => Err(ConfigError::NoTls),
            None => HttpTransport::new(instance.is_https())
                .map(|transport| Arc::new(transport) as Arc<dyn Transport>)
                .map_err(|error| ConfigError::HttpClient(Box::new(error.without_url()))),
        }
    }

    fn backend(
        &self,
        key: &str,
        instance: &Instance,
        transport: &Arc<dyn Transport>,
    ) -> Result<BackendSetup, ConfigError> {
        let key = SecretKey::parse(key).map_err(ConfigError::SecretKey)?;
        check_environments(instance, &key)?;
        let base = backend_base(self.backend_url.as_deref().unwrap_or(BACKEND_URL))?;
        if let Some((calls, window)) = self.backend_rate {
            counted("backend_rate", calls.into(), MOST_CALLS)?;
            between("backend_rate", window, SECOND, HOUR)?;
        }
        if let Some(lifetime) = self.backend.token_lifetime {
            between("token_lifetime", lifetime, LEAST_TOKEN_LIFETIME, DAY)?;
        }
        let alike = base.is_https() == instance.is_https();
        let transport = if alike { Arc::clone(transport) } else { self.transport_to(&base)? };
        let rate = self.backend_rate.unwrap_or(match key.environment() {
            Environment::Production => PRODUCTION_BACKEND_RATE,
            Environment::Development => DEVELOPMENT_BACKEND_RATE,
        });
        let sessions = self.sessions.clone().unwrap_or_else(|| Arc::<MemorySessions>::default());
        Ok(BackendSetup { base, transport, key, rate, sessions, options: self.backend })
    }

    /// Refuses the settings that have no effect without a secret key.
    fn check_without_key(&self) -> Result<(), ConfigError> {
        let settings = [
            ("backend_url", self.backend_url.is_some()),
            ("backend_rate", self.backend_rate.is_some()),
            ("session_store", self.sessions.is_some()),
            ("token_lifetime", self.backend.token_lifetime.is_some()),
            ("dangerously_ignore_second_factors", self.backend.ignore_second_factor),
            #[cfg(feature = "federation")]
            ("provider", !self.providers.is_empty()),
        ];
        match settings.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => Err(ConfigError::NeedsSecretKey { name }),
            None => Ok(()),
        }
    }
}

/// Refuses a secret key for production with an instance for development, and the other way round.
pub(super) fn check_environments(instance: &Instance, key: &SecretKey) -> Result<(), ConfigError> {
    match instance.environment() {
        Some(environment) if environment != key.environment() => Err(ConfigError::InstanceMismatch),
        _ => Ok(()),
    }
}

pub(super) fn backend_base(url: &str) -> Result<Instance, ConfigError> {
    if !url.contains("://") {
        return Err(ConfigError::BackendUrl(InstanceError::Unrecognized));
    }
    Instance::parse(url).map_err(ConfigError::BackendUrl)
}

fn check(settings: &Settings) -> Result<(), ConfigError> {
    between("session_ttl", settings.session_ttl, SECOND, DAY)?;
    between("negative_ttl", settings.negative_ttl, SECOND, HOUR)?;
    between("upstream_timeout", settings.upstream_timeout, SECOND / 10, 60 * SECOND)?;
    between("sign_in_wait", settings.sign_in_wait, Duration::ZERO, 60 * SECOND)?;
    counted("max_sessions", settings.max_sessions, MOST_SESSIONS)?;
    counted("max_verified_tokens", settings.max_verified_tokens, MOST_SESSIONS)?;
    counted("max_verified_api_keys", settings.max_verified_api_keys, MOST_SESSIONS)?;
    if let Some((sign_ins, window)) = settings.sign_in_rate {
        counted("sign_in_rate", sign_ins.into(), MOST_CALLS)?;
        between("sign_in_rate", window, SECOND, HOUR)?;
    }
    Ok(())
}

fn between(name: &'static str, value: Duration, least: Duration, most: Duration) -> Result<(), ConfigError> {
    let fits = value >= least && value <= most;
    if fits { Ok(()) } else { Err(ConfigError::Setting { name, least, most, value }) }
}

fn counted(name: &'static str, value: u64, most: u64) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::Zero { name }),
        value if value > most => Err(ConfigError::TooMany { name, most }),
        _ => Ok(()),
    }
}
