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
use crate::store::EngineState;
use crate::transport::Transport;

impl ClerkBuilder {
    /// Builds the engine.
    ///
    /// Nothing is sent to Clerk yet, and no runtime is needed yet. [`Clerk::preflight`] asks Clerk whether the
    /// instance's settings let users in.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the instance, the secret key or a setting is unusable, or if the store can't be opened
    /// with its keys. No setting is corrected silently.
    pub fn build(self) -> Result<Clerk, ConfigError> {
        check(&self.settings)?;
        #[cfg(feature = "redis")]
        self.check_redis()?;
        let instance = Instance::parse(&self.instance).map_err(ConfigError::Instance)?;
        let transport = transport_to(self.transport.as_ref(), &instance)?;
        let backend = match &self.secret_key {
            Some(key) => Some(self.backend(key, &instance, &transport)?),
            None => {
                self.check_without_key()?;
                None
            }
        };
        let issuer = self.issuer.unwrap_or_else(|| instance.issuer().to_owned());
        #[cfg(feature = "federation")]
        let providers = checked_providers(self.providers, &[&issuer, instance.issuer()])?;
        let secret = self.credential_secret.map_or_else(KeySecret::random, |secret| KeySecret::from(*secret));
        let secret = KeySecret::for_instance(secret, instance.issuer());
        #[cfg(feature = "sqlite")]
        let state = match self.store {
            Some(store) => store.unlock(instance.issuer()).map_err(ConfigError::Store)?,
            None => EngineState::in_memory(instance.issuer()),
        };
        #[cfg(not(feature = "sqlite"))]
        let state = EngineState::in_memory(instance.issuer());
        let (sign_ins, wait) = (self.settings.sign_in_rate, self.settings.sign_in_wait);
        Ok(Clerk::from_setup(Setup {
            instance,
            issuer,
            transport,
            secret,
            settings: self.settings,
            budget: Budget { sign_ins, wait, queue: SIGN_IN_QUEUE },
            state,
            #[cfg(feature = "redis")]
            redis: self.redis.map(|redis| *redis),
            backend,
            #[cfg(feature = "federation")]
            providers,
            clock: self.clock.unwrap_or_default(),
            jitter: self.jitter.map_or_else(Jitter::random, Jitter::seeded),
        }))
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
        check_rate("backend_rate", self.backend_rate)?;
        check_rate("backend_list_rate", self.backend_list_rate)?;
        if let Some(lifetime) = self.backend.token_lifetime {
            between("token_lifetime", lifetime, LEAST_TOKEN_LIFETIME, DAY)?;
        }
        let alike = base.is_https() == instance.is_https();
        let transport = match alike {
            true => Arc::clone(transport),
            false => transport_to(self.transport.as_ref(), &base)?,
        };
        let (rate, list_rate) =
            (self.backend_rate.unwrap_or_else(|| backend_rate(&key)), self.backend_list_rate);
        Ok(BackendSetup { base, transport, key, rate, list_rate, options: self.backend })
    }

    #[cfg(feature = "redis")]
    fn check_redis(&self) -> Result<(), ConfigError> {
        let Some(redis) = &self.redis else { return Ok(()) };
        #[cfg(feature = "sqlite")]
        if self.store.is_some() {
            return Err(ConfigError::TwoStores);
        }
        redis.problem().map_or(Ok(()), |(setting, problem)| Err(ConfigError::Redis { setting, problem }))
    }

    /// Refuses the settings that have no effect without a secret key.
    fn check_without_key(&self) -> Result<(), ConfigError> {
        let settings = [
            ("backend_url", self.backend_url.is_some()),
            ("backend_rate", self.backend_rate.is_some()),
            ("backend_list_rate", self.backend_list_rate.is_some()),
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

/// The transport that was given, or the built-in one.
pub(super) fn transport_to(
    given: Option<&Arc<dyn Transport>>,
    base: &Instance,
) -> Result<Arc<dyn Transport>, ConfigError> {
    match given {
        Some(transport) => Ok(Arc::clone(transport)),
        None if base.is_https() && cfg!(not(feature = "rustls")) => Err(ConfigError::NoTls),
        None => HttpTransport::new(base.is_https())
            .map(|transport| Arc::new(transport) as Arc<dyn Transport>)
            .map_err(|error| ConfigError::HttpClient(Box::new(error.without_url()))),
    }
}

/// The budget of calls to the Backend API, unless it is set.
pub(super) fn backend_rate(key: &SecretKey) -> (u32, Duration) {
    match key.environment() {
        Environment::Production => PRODUCTION_BACKEND_RATE,
        Environment::Development => DEVELOPMENT_BACKEND_RATE,
    }
}

pub(super) fn check_rate(name: &'static str, rate: Option<(u32, Duration)>) -> Result<(), ConfigError> {
    let Some((calls, window)) = rate else { return Ok(()) };
    counted(name, calls.into(), MOST_CALLS)?;
    between(name, window, SECOND, HOUR)
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
    check_rate("sign_in_rate", settings.sign_in_rate)
}

pub(super) fn between(
    name: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<(), ConfigError> {
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
