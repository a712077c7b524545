//! The settings that the environment asks for. Nothing is guessed: an unusable value is an error that names its variable.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkBuilder};
use zeroize::Zeroizing;

pub(crate) struct Settings {
    pub(crate) listen_addr: SocketAddr,
    /// The instance as it was given: a publishable key or an address.
    pub(crate) instance: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) secret_key: Option<Zeroizing<String>>,
    api_url: Option<String>,
    pub(crate) device_file: Option<String>,
    pub(crate) session_store_file: Option<String>,
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

/// Variables of parts that this version doesn't have: better refused than silently without effect.
const NOT_BUILT_IN: [&str; 2] = ["CLERK_WEBHOOK_SIGNING_SECRET", "REDIS_URL"];

/// An address that nothing is sent to.
const NOWHERE: &str = "http://127.0.0.1:1";

impl Settings {
    pub(crate) fn from_env() -> Result<Self, String> {
        for name in NOT_BUILT_IN {
            if variable(name)?.is_some() {
                return Err(format!("{name}: not built in; unset it"));
            }
        }
        match variable("ACCEPT_BEARER")?.as_deref() {
            None | Some("0") => {}
            Some("1") => return Err("ACCEPT_BEARER: not built in; unset it".to_owned()),
            Some(_) => return Err("ACCEPT_BEARER: must be 1 or unset".to_owned()),
        }
        let listen_addr = variable("LISTEN_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
        let listen_addr: SocketAddr = listen_addr.parse().map_err(|_| {
            format!(
                "LISTEN_ADDR: {listen_addr:?} isn't an IP address and a port like 127.0.0.1:3000; host names \
                     aren't looked up"
            )
        })?;
        let secret_key = variable("CLERK_SECRET_KEY")?.map(Zeroizing::new);
        if let Some(key) = &secret_key {
            let checked = Clerk::builder(NOWHERE).secret_key(&**key).backend_url(NOWHERE).build();
            checked.map_err(|error| format!("CLERK_SECRET_KEY: {error}"))?;
        }
        let mut instance = None;
        for name in ["CLERK_PUBLISHABLE_KEY", "CLERK_FAPI_URL"] {
            if let Some(value) = variable(name)? {
                // Both are checked, though the address wins over the key.
                Clerk::builder(&value).build().map_err(|error| format!("{name}: {error}"))?;
                if name == "CLERK_FAPI_URL" && !value.starts_with("http") {
                    return Err(format!("{name}: must be an address like https://clerk.example.com"));
                }
                if let Some(key) = &secret_key {
                    let both = Clerk::builder(&value).secret_key(&**key).backend_url(NOWHERE).build();
                    both.map_err(|error| format!("CLERK_SECRET_KEY: {error}"))?;
                }
                instance = Some(value);
            }
        }
        if instance.is_none() && secret_key.is_some() {
            return Err(
                "CLERK_PUBLISHABLE_KEY: must be set with CLERK_SECRET_KEY, to the key of the same instance"
                    .to_owned(),
            );
        }
        if instance.is_none() && !listen_addr.ip().is_loopback() {
            return Err("CLERK_PUBLISHABLE_KEY: must be set, as the stand-in for Clerk serves loopback \
                        addresses only and LISTEN_ADDR is none"
                .to_owned());
        }
        let settings = Self {
            listen_addr,
            instance,
            organization: variable("CLERK_ORGANIZATION")?,
            template: variable("CLERK_JWT_TEMPLATE")?,
            secret_key,
            api_url: variable("CLERK_API_URL")?,
            device_file: variable("DEVICE_FILE")?,
            session_store_file: variable("SESSION_STORE_FILE")?,
            session_ttl: number("SESSION_TTL_SECS", 1)?.map(Duration::from_secs),
            negative_ttl: number("NEGATIVE_TTL_SECS", 1)?.map(Duration::from_secs),
            upstream_timeout: number("UPSTREAM_TIMEOUT_MS", 100)?.map(Duration::from_millis),
            max_sessions: number("MAX_SESSIONS", 1)?,
            sign_in_rate: variable("SIGN_IN_RATE")?.map(|rate| sign_in_rate(&rate)).transpose()?,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Each setting on its own, so that the error names its variable.
    fn check(&self) -> Result<(), String> {
        let any = || Clerk::builder(NOWHERE);
        let fits = |name: &str, builder: ClerkBuilder| {
            builder.build().map(drop).map_err(|error| format!("{name}: {error}"))
        };
        match (&self.secret_key, &self.api_url) {
            (_, None) => {}
            (Some(key), Some(url)) => fits("CLERK_API_URL", any().secret_key(&**key).backend_url(url))?,
            (None, Some(_)) => {
                return Err(
                    "CLERK_API_URL: has no effect without CLERK_SECRET_KEY; set both or neither".to_owned()
                );
            }
        }
        if self.secret_key.is_none() && self.session_store_file.is_some() {
            return Err("SESSION_STORE_FILE: is for sessions opened with CLERK_SECRET_KEY; set both or neither; without \
                        that key DEVICE_FILE is what outlives a restart"
                .to_owned());
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
        let layer = || any().build().map(ClerkBasicAuthLayer::new).map_err(|error| error.to_string());
        if let Some(organization) = &self.organization {
            let checked = layer()?.organization(organization);
            checked.map(drop).map_err(|error| format!("CLERK_ORGANIZATION: {error}"))?;
        }
        if let Some(template) = &self.template {
            let checked = layer()?.template(template);
            checked.map(drop).map_err(|error| format!("CLERK_JWT_TEMPLATE: {error}"))?;
        }
        Ok(())
    }

    /// Whether the engine is to keep to no limit of sign-ins.
    pub(crate) fn has_no_sign_in_rate(&self) -> bool {
        matches!(self.sign_in_rate, Some(SignInRate::Off))
    }

    pub(crate) fn apply(&self, mut builder: ClerkBuilder) -> ClerkBuilder {
        if let Some(key) = &self.secret_key {
            builder = builder.secret_key(&**key);
        }
        if let Some(url) = &self.api_url {
            builder = builder.backend_url(url);
        }
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

/// A variable's value; empty is unset.
fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}

fn number(name: &str, least: u64) -> Result<Option<u64>, String> {
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
