//! The host's own settings from the environment. An unusable value is an error that names its variable.

use axum::http::Uri;
use tower_clerk::Clerk;

use crate::addresses::TrustedProxies;
use crate::auth::{Authentication, Template};
use crate::settings::{Settings, refuse, variable};

pub(crate) struct Options {
    /// The settings of the engine, which are those of the example `server`.
    pub(crate) engine: Settings,
    pub(crate) authentication: Authentication,
    /// `None` for the address that the program listens on.
    pub(crate) public_url: Option<String>,
}

impl Options {
    /// Reads and checks the settings. An error starts with the name of its variable.
    pub(crate) fn from_env() -> Result<Self, String> {
        let engine = Settings::from_env()?;
        let webhooks = ["CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET_FILE"];
        refuse(&webhooks, "this host has no route for webhooks")?;
        refuse(&["ACCEPT_API_KEYS"], "a token endpoint takes no API keys")?;
        let trusted = variable("TRUSTED_PROXIES")?.map(|list| TrustedProxies::parse(&list)).transpose();
        let authentication = Authentication {
            organization: engine.organization.clone(),
            template: template(&engine)?,
            bearer: engine.bearer.clone().unwrap_or_default(),
            trusted: trusted.map_err(|error| format!("TRUSTED_PROXIES: {error}"))?.unwrap_or_default(),
        };
        let any = Clerk::builder("http://127.0.0.1:1").build().and_then(|clerk| authentication.layer(&clerk));
        any.map(drop).map_err(|error| format!("TOKEN_AUDIENCE: {error}"))?;
        let public_url = variable("PUBLIC_URL")?.map(|url| public_url(&url)).transpose()?;
        if public_url.is_none() && engine.listen_addr.ip().is_unspecified() {
            return Err("PUBLIC_URL: must be set, as links begin with LISTEN_ADDR otherwise, and no client can reach that \
                        address"
                .to_owned());
        }
        Ok(Self { engine, authentication, public_url })
    }
}

fn template(engine: &Settings) -> Result<Option<Template>, String> {
    match (engine.template.clone(), variable("TOKEN_AUDIENCE")?) {
        (None, None) => Ok(None),
        (Some(name), Some(audience)) => Ok(Some(Template { name, audience })),
        (Some(_), None) => {
            Err("TOKEN_AUDIENCE: must be the `aud` that CLERK_JWT_TEMPLATE sets, since a template's \
                                token is accepted by it; set both or neither"
                .to_owned())
        }
        (None, Some(_)) => {
            Err("TOKEN_AUDIENCE: has no effect without CLERK_JWT_TEMPLATE; set both or neither".to_owned())
        }
    }
}

/// Reads what absolute links begin with.
fn public_url(url: &str) -> Result<String, String> {
    let url = url.trim_end_matches('/');
    let is_usable = url.parse::<Uri>().is_ok_and(|uri| {
        let has_host = uri
            .authority()
            .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        has_host && matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    });
    // The parser drops a fragment, and lets through what would end the address in a `Link` field.
    match is_usable && !url.contains(['#', '?', '<', '>']) {
        true => Ok(url.to_owned()),
        false => Err(format!(
            "PUBLIC_URL: {url:?} must be an address like https://api.example.com, without a query"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i6_a_public_url_is_a_scheme_a_host_and_perhaps_a_path() {
        for (url, expected) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("http://127.0.0.1:3000/pact/", "http://127.0.0.1:3000/pact"),
        ] {
            assert_eq!(public_url(url).unwrap(), expected);
        }
        for bad in [
            "api.example.com",
            "https://",
            "ftp://api.example.com",
            "https://user@api.example.com",
            "https://api.example.com?a",
            "https://api.example.com/#a",
            "https://api.example.com/>;",
            "https://api.example.com/ a",
            "/pact",
        ] {
            assert!(public_url(bad).unwrap_err().starts_with("PUBLIC_URL: "), "{bad}");
        }
    }
}
