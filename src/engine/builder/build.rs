//! From settings to an engine: what is checked, and what is taken where nothing was said.

use std::sync::Arc;
use std::time::Duration;

use super::{
    BackendSetup, ClerkBuilder, ConfigError, DEFAULT_BACKEND_URL, DEVELOPMENT_BACKEND_RATE,
    LEAST_TOKEN_LIFETIME, LONGEST_SESSION_TTL, MOST_SESSIONS, MOST_SIGN_INS, PRODUCTION_BACKEND_RATE,
    SIGN_IN_QUEUE, Setup,
};
use crate::clerk_api::HttpTransport;
use crate::clerk_api::bapi::SecretKey;
use crate::engine::Clerk;
use crate::instance::{Environment, Instance, InstanceError};
use crate::jitter::Jitter;
use crate::key::KeySecret;
use crate::limits::Budget;
use crate::store::{MemoryDevices, MemorySessions};
use crate::transport::Transport;

impl ClerkBuilder {
    /// Builds the engine. Nothing is sent to Clerk yet, and no runtime is needed yet.
    ///
    /// # Errors
    ///
    /// When the instance or a setting is unusable; nothing is guessed in its place.
    pub fn build(self) -> Result<Clerk, ConfigError> {
        let settings = self.settings;
        let between = |name, value: Duration, least, most: Duration| {
            let fits = value >= least && value <= most;
            if fits { Ok(()) } else { Err(ConfigError::Setting { name, least, most, value }) }
        };
        let (second, day) = (Duration::from_secs(1), LONGEST_SESSION_TTL);
        between("session_ttl", settings.session_ttl, second, day)?;
        between("negative_ttl", settings.negative_ttl, second, Duration::from_secs(60 * 60))?;
        between(
            "upstream_timeout",
            settings.upstream_timeout,
            Duration::from_millis(100),
            Duration::from_secs(60),
        )?;
        between("sign_in_wait", settings.sign_in_wait, Duration::ZERO, Duration::from_secs(60))?;
        let counted = |name, value: u64, most| match value {
            0 => Err(ConfigError::Zero { name }),
            value if value > most => Err(ConfigError::TooMany { name, most }),
            _ => Ok(()),
        };
        counted("max_sessions", settings.max_sessions, MOST_SESSIONS)?;
        if let Some((sign_ins, window)) = settings.sign_in_rate {
            counted("sign_in_rate", sign_ins.into(), MOST_SIGN_INS)?;
            between("sign_in_rate", window, second, Duration::from_secs(60 * 60))?;
        }
        let instance = Instance::parse(&self.instance).map_err(ConfigError::Instance)?;
        let own = self.transport;
        let transport_to = |instance: &Instance| -> Result<Arc<dyn Transport>, ConfigError> {
            match &own {
                Some(transport) => Ok(Arc::clone(transport)),
                None if instance.is_https() && cfg!(not(feature = "rustls")) => Err(ConfigError::NoTls),
                None => HttpTransport::new(instance.is_https())
                    .map(|transport| Arc::new(transport) as Arc<dyn Transport>)
                    .map_err(|error| ConfigError::HttpClient(Box::new(error.without_url()))),
            }
        };
        let transport = transport_to(&instance)?;
        let backend = match &self.secret_key {
            None if self.backend_url.is_some() => {
                return Err(ConfigError::NoSecretKey { name: "backend_url" });
            }
            None if self.backend_rate.is_some() => {
                return Err(ConfigError::NoSecretKey { name: "backend_rate" });
            }
            None if self.sessions.is_some() => {
                return Err(ConfigError::NoSecretKey { name: "session_store" });
            }
            None if self.backend.token_lifetime.is_some() => {
                return Err(ConfigError::NoSecretKey { name: "token_lifetime" });
            }
            None if self.backend.ignore_second_factor => {
                return Err(ConfigError::NoSecretKey { name: "dangerously_ignore_second_factors" });
            }
            None => None,
            Some(key) => {
                let key = SecretKey::parse(key).map_err(ConfigError::SecretKey)?;
                if instance.environment().is_some_and(|environment| environment != key.environment()) {
                    return Err(ConfigError::OtherInstance);
                }
                let url = self.backend_url.as_deref().unwrap_or(DEFAULT_BACKEND_URL);
                if !url.contains("://") {
                    return Err(ConfigError::BackendUrl(InstanceError::Unrecognized));
                }
                let base = Instance::parse(url).map_err(ConfigError::BackendUrl)?;
                if let Some((calls, window)) = self.backend_rate {
                    counted("backend_rate", calls.into(), MOST_SIGN_INS)?;
                    between("backend_rate", window, second, Duration::from_secs(60 * 60))?;
                }
                if let Some(lifetime) = self.backend.token_lifetime {
                    between("token_lifetime", lifetime, LEAST_TOKEN_LIFETIME, day)?;
                }
                let alike = base.is_https() == instance.is_https();
                let transport = if alike { Arc::clone(&transport) } else { transport_to(&base)? };
                let rate = self.backend_rate.unwrap_or(match key.environment() {
                    Environment::Production => PRODUCTION_BACKEND_RATE,
                    Environment::Development => DEVELOPMENT_BACKEND_RATE,
                });
                let sessions = self.sessions.unwrap_or_else(|| Arc::<MemorySessions>::default());
                let options = self.backend;
                Some(BackendSetup { base, transport, key, rate, sessions, options })
            }
        };
        let issuer = self.issuer.unwrap_or_else(|| instance.issuer().to_owned());
        let secret = self.credential_secret.map_or_else(KeySecret::random, |secret| KeySecret::from(*secret));
        let secret = KeySecret::for_instance(secret, instance.issuer());
        let budget =
            Budget { sign_ins: settings.sign_in_rate, wait: settings.sign_in_wait, queue: SIGN_IN_QUEUE };
        Ok(Clerk::from_setup(Setup {
            instance,
            issuer,
            transport,
            secret,
            settings,
            budget,
            devices: self.devices.unwrap_or_else(|| Arc::<MemoryDevices>::default()),
            backend,
            clock: self.clock.unwrap_or_default(),
            jitter: self.jitter.map_or_else(Jitter::random, Jitter::seeded),
        }))
    }
}
