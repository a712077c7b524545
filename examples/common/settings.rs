//! The settings from the environment. An unusable value is an error that names its variable, never a default.

use std::env;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use tower_clerk::testing::WebhookEndpoint;
use tower_clerk::{ApiKeys, BearerTokens, Clerk, ClerkBasicAuthLayer, ClerkBuilder, ConfigError};

pub(crate) struct Settings {
    pub(crate) listen_addr: SocketAddr,
    /// The instance, from the variables of Clerk's SDKs; `None` for the stand-in.
    pub(crate) clerk: Option<ClerkBuilder>,
    /// The endpoint to which the stand-in sends webhooks.
    pub(crate) stand_in_webhook: Option<WebhookEndpoint>,
    pub(crate) has_secret_key: bool,
    pub(crate) organization: Option<String>,
    pub(crate) template: Option<String>,
    /// The Bearer tokens to accept, if any.
    pub(crate) bearer: Option<BearerTokens>,
    /// Whether an API key is accepted as the password of `__token__`.
    pub(crate) accepts_api_keys: bool,
    session_ttl: Option<Duration>,
    negative_ttl: Option<Duration>,
    upstream_timeout: Option<Duration>,
    max_sessions: Option<u64>,
    sign_in_rate: Option<SignInRate>,
}

enum SignInRate {
    Off,
    Per(u32, Duration),
}

/// A URL for engines that are built only to check settings, and never send a request.
const NOWHERE: &str = "http://127.0.0.1:1";

impl Settings {
    /// Reads and checks the settings. An error starts with the name of its variable.
    pub(crate) fn from_env() -> Result<Self, String> {
        let listen_addr = listen_addr()?;
        let clerk = engine()?;
        if clerk.is_none() && !listen_addr.ip().is_loopback() {
            return Err("CLERK_PUBLISHABLE_KEY: must be set, as the stand-in for Clerk serves loopback \
                        addresses only and LISTEN_ADDR isn't one"
                .to_owned());
        }
        let settings = Self {
            listen_addr,
            clerk,
            stand_in_webhook: WebhookEndpoint::from_env().map_err(|error| error.to_string())?,
            has_secret_key: is_set("CLERK_SECRET_KEY") || is_set("CLERK_SECRET_KEY_FILE"),
            organization: variable("CLERK_ORGANIZATION")?,
            template: variable("CLERK_JWT_TEMPLATE")?,
            bearer: bearer()?,
            accepts_api_keys: is_on("ACCEPT_API_KEYS")?,
            session_ttl: number("SESSION_TTL_SECS", 1)?.map(Duration::from_secs),
            negative_ttl: number("NEGATIVE_TTL_SECS", 1)?.map(Duration::from_secs),
            upstream_timeout: number("UPSTREAM_TIMEOUT_MS", 100)?.map(Duration::from_millis),
            max_sessions: number("MAX_SESSIONS", 1)?,
            sign_in_rate: variable("SIGN_IN_RATE")?.map(|rate| sign_in_rate(&rate)).transpose()?,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Checks each setting separately, so that the error can name its variable.
    fn check(&self) -> Result<(), String> {
        let any = || Clerk::builder(NOWHERE);
        let fits = |name: &str, builder: ClerkBuilder| {
            builder.build().map(drop).map_err(|error| format!("{name}: {error}"))
        };
        // The stand-in has a key of its own.
        if self.accepts_api_keys && !self.has_secret_key && self.clerk.is_some() {
            return Err(
                "ACCEPT_API_KEYS: needs CLERK_SECRET_KEY, by which Clerk verifies API keys".to_owned()
            );
        }
        if let Some(ttl) = self.session_ttl {
            fits("SESSION_TTL_SECS", any().session_ttl(ttl))?;
        }
        if let Some(ttl) = self.negative_ttl {
            fits("NEGATIVE_TTL_SECS", any().negative_ttl(ttl))?;
        }
        if let Some(timeout) = self.upstream_timeout {
            fits("UPSTREAM_TIMEOUT_MS", any().upstream_timeout(timeout))?;
        }
        if let Some(sessions) = self.max_sessions {
            fits("MAX_SESSIONS", any().max_sessions(sessions))?;
        }
        if let Some(SignInRate::Per(sign_ins, window)) = self.sign_in_rate {
            fits("SIGN_IN_RATE", any().sign_in_rate(sign_ins, window))?;
        }
        self.check_layer()
    }

    fn check_layer(&self) -> Result<(), String> {
        let layer = || {
            let clerk = Clerk::builder(NOWHERE).build();
            clerk.map(ClerkBasicAuthLayer::new).map_err(|error| error.to_string())
        };
        if let Some(organization) = &self.organization {
            let checked = layer()?.organization(organization);
            checked.map(drop).map_err(|error| format!("CLERK_ORGANIZATION: {error}"))?;
        }
        if let Some(template) = &self.template {
            let checked = layer()?.template(template);
            checked.map(drop).map_err(|error| format!("CLERK_JWT_TEMPLATE: {error}"))?;
        }
        if let Some(bearer) = &self.bearer {
            if self.template.is_some() {
                return Err("ACCEPT_BEARER: can't be set with CLERK_JWT_TEMPLATE, since a session token doesn't have \
                            the claims of a template"
                    .to_owned());
            }
            let checked = layer()?.accept_bearer(bearer.clone());
            checked.map(drop).map_err(|error| format!("AUTHORIZED_PARTIES: {error}"))?;
        }
        Ok(())
    }

    /// The layer that the settings ask for, apart from its organization.
    pub(crate) fn layer(&self, clerk: &Clerk) -> Result<ClerkBasicAuthLayer, ConfigError> {
        let mut layer = ClerkBasicAuthLayer::new(clerk.clone());
        if let Some(template) = &self.template {
            layer = layer.template(template)?;
        }
        if let Some(bearer) = &self.bearer {
            layer = layer.accept_bearer(bearer.clone())?;
        }
        if self.accepts_api_keys { layer.accept_api_keys(ApiKeys::new()) } else { Ok(layer) }
    }

    /// Whether the budget of sign-ins is off.
    pub(crate) fn has_no_sign_in_rate(&self) -> bool {
        matches!(self.sign_in_rate, Some(SignInRate::Off))
    }

    pub(crate) fn apply(&self, mut builder: ClerkBuilder) -> ClerkBuilder {
        if let Some(ttl) = self.session_ttl {
            builder = builder.session_ttl(ttl);
        }
        if let Some(ttl) = self.negative_ttl {
            builder = builder.negative_ttl(ttl);
        }
        if let Some(timeout) = self.upstream_timeout {
            builder = builder.upstream_timeout(timeout);
        }
        if let Some(sessions) = self.max_sessions {
            builder = builder.max_sessions(sessions);
        }
        match self.sign_in_rate {
            None => builder,
            Some(SignInRate::Off) => builder.unlimited_sign_ins(),
            Some(SignInRate::Per(sign_ins, window)) => builder.sign_in_rate(sign_ins, window),
        }
    }
}

/// Refuses variables that would have no effect.
#[allow(dead_code, reason = "not every program refuses any")]
pub(crate) fn refuse(names: &[&str], reason: &str) -> Result<(), String> {
    for name in names {
        if variable(name)?.is_some() {
            return Err(format!("{name}: {reason}; unset it"));
        }
    }
    Ok(())
}

/// Reads which Bearer tokens to accept.
fn bearer() -> Result<Option<BearerTokens>, String> {
    let parties = variable("AUTHORIZED_PARTIES")?;
    match (is_on("ACCEPT_BEARER")?, parties) {
        (false, None) => Ok(None),
        (false, Some(_)) => {
            Err("AUTHORIZED_PARTIES: has no effect without ACCEPT_BEARER=1; set both or neither".to_owned())
        }
        (true, None) => Ok(Some(BearerTokens::new())),
        (true, Some(parties)) => {
            Ok(Some(BearerTokens::new().authorized_parties(parties.split(',').map(str::trim))))
        }
    }
}

fn listen_addr() -> Result<SocketAddr, String> {
    let listen_addr = variable("LISTEN_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let looked_up = listen_addr.to_socket_addrs().map_err(|error| {
        format!(
            "LISTEN_ADDR: {listen_addr:?} must be an address and a port like 127.0.0.1:3000 or localhost:3000: {error}"
        )
    })?;
    // `localhost` has an address of either family, and all clients know the older one.
    let first = looked_up.min_by_key(SocketAddr::is_ipv6);
    first.ok_or_else(|| format!("LISTEN_ADDR: {listen_addr:?} has no address"))
}

/// The variables that [`ClerkBuilder::from_env`] reads.
const INSTANCE: [&str; 5] =
    ["CLERK_PUBLISHABLE_KEY", "CLERK_FAPI_URL", "CLERK_SECRET_KEY", "CLERK_SECRET_KEY_FILE", "CLERK_API_URL"];

/// Returns the engine's builder, or `None` for the stand-in if no variable is set that concerns an instance.
fn engine() -> Result<Option<ClerkBuilder>, String> {
    if !INSTANCE.into_iter().any(is_set) {
        return Ok(None);
    }
    ClerkBuilder::from_env().map(Some).map_err(|error| error.to_string())
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Returns a variable's value. An empty one counts as unset.
pub(crate) fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}

/// Whether a setting is on, which `1` means.
pub(crate) fn is_on(name: &str) -> Result<bool, String> {
    match variable(name)?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(format!("{name}: must be 1 or unset")),
    }
}

pub(crate) fn number(name: &str, least: u64) -> Result<Option<u64>, String> {
    let Some(value) = variable(name)? else { return Ok(None) };
    match value.parse() {
        Ok(number) if number >= least => Ok(Some(number)),
        _ => Err(format!("{name}: must be a whole number from {least}")),
    }
}

fn sign_in_rate(rate: &str) -> Result<SignInRate, String> {
    if rate == "off" {
        return Ok(SignInRate::Off);
    }
    let parsed = rate.split_once('/').and_then(|(sign_ins, window)| {
        let seconds = window.strip_suffix('s')?.parse().ok().filter(|seconds| *seconds > 0)?;
        Some(SignInRate::Per(sign_ins.parse().ok()?, Duration::from_secs(seconds)))
    });
    parsed.ok_or_else(|| "SIGN_IN_RATE: must be like 5/10s, or off".to_owned())
}
