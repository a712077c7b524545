//! The gateway's own settings from the environment. An unusable value is an error that names its variable.

use std::time::Duration;

use tower_clerk::layer::IdentityHeaders;
use tower_clerk::{AuthorizationHeader, Clerk, ClerkBasicAuthLayer, ConfigError};

use crate::addresses::TrustedProxies;
use crate::forward_auth::Family;
use crate::settings::{Settings, is_on, number, refuse, variable};
use crate::upstream::Upstream;

pub(crate) struct Options {
    /// The settings of the engine, which are those of the example `server`.
    pub(crate) engine: Settings,
    /// `None` for the echo.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) identity: Identity,
    pub(crate) organization_path: Option<String>,
    pub(crate) forward_auth: Option<Family>,
    pub(crate) no_prompt_for_fetch: bool,
    pub(crate) trusted: TrustedProxies,
    pub(crate) upstream_timeout: Duration,
}

/// How the upstream learns about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// `Authorization: Bearer <jwt>`.
    Bearer,
    /// `X-Clerk-User-Id` and so on.
    Headers,
}

impl Identity {
    pub(crate) fn apply(self, layer: ClerkBasicAuthLayer) -> Result<ClerkBasicAuthLayer, ConfigError> {
        match self {
            Self::Bearer => layer.authorization_header(AuthorizationHeader::Bearer),
            Self::Headers => Ok(layer.identity_headers(IdentityHeaders::new())),
        }
    }
}

impl Options {
    /// Reads and checks the settings. An error starts with the name of its variable.
    pub(crate) fn from_env() -> Result<Self, String> {
        let engine = Settings::from_env()?;
        let webhooks = ["CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET_FILE"];
        refuse(&webhooks, "this gateway has no route for webhooks")?;
        let upstream = variable("UPSTREAM_URL")?.map(|url| Upstream::parse(&url));
        let identity = match variable("IDENTITY")?.as_deref() {
            None | Some("bearer") => Identity::Bearer,
            Some("headers") => Identity::Headers,
            Some(_) => return Err("IDENTITY: must be bearer or headers".to_owned()),
        };
        let forward_auth = variable("FORWARD_AUTH")?.map(|proxy| Family::parse(&proxy));
        let trusted = variable("TRUSTED_PROXIES")?.map(|list| TrustedProxies::parse(&list));
        let timeout = number("UPSTREAM_TIMEOUT_SECS", 1)?.unwrap_or(60);
        let options = Self {
            engine,
            upstream: upstream.transpose().map_err(|error| format!("UPSTREAM_URL: {error}"))?,
            identity,
            organization_path: variable("ORGANIZATION_PATH")?,
            forward_auth: forward_auth.transpose().map_err(|error| format!("FORWARD_AUTH: {error}"))?,
            no_prompt_for_fetch: is_on("NO_PROMPT_FOR_FETCH")?,
            trusted: trusted
                .transpose()
                .map_err(|error| format!("TRUSTED_PROXIES: {error}"))?
                .unwrap_or_default(),
            // A sum with an instant must not overflow; a day is as good as none.
            upstream_timeout: Duration::from_secs(timeout.min(24 * 60 * 60)),
        };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        if self.engine.accepts_api_keys && self.identity == Identity::Bearer {
            return Err("ACCEPT_API_KEYS: needs IDENTITY=headers, since an API key has no token to send on"
                .to_owned());
        }
        let Some(pattern) = &self.organization_path else { return Ok(()) };
        let any = Clerk::builder("http://127.0.0.1:1").build().map(ClerkBasicAuthLayer::new);
        let checked = any.and_then(|layer| crate::by_path(layer, pattern, |parts| Some(&parts.uri)));
        checked.map(drop).map_err(|error: ConfigError| format!("ORGANIZATION_PATH: {error}"))
    }
}
