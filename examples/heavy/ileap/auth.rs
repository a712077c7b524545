//! How partners get in: a token for their credentials, and Bearer in front of the data.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use tower_clerk::token_endpoint::{TokenEndpoint, TokenError, TokenErrorCode};
use tower_clerk::{BearerTokens, Clerk, ClerkBasicAuthLayer, ConfigError, RejectionKind};

use crate::addresses::{self, TrustedProxies};

/// The form of access tokens, and which of them are accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authentication {
    /// The organization that partners are members of. None is their personal account.
    pub(crate) organization: Option<String>,
    pub(crate) template: Option<Template>,
    pub(crate) bearer: BearerTokens,
    /// The proxies that name the client, for the fair share in the sign-in budget.
    pub(crate) trusted: TrustedProxies,
}

/// The JWT template of access tokens.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) name: String,
    /// The `aud` that it sets.
    pub(crate) audience: String,
}

impl Authentication {
    /// The token endpoint, at PACT's path and at `/`, where the network's test service posts, and the documents by which
    /// partners find it.
    pub(crate) fn routes(&self, clerk: &Clerk, public_url: &str) -> Result<Router, ConfigError> {
        let endpoint = self.endpoint(clerk)?;
        let (token, jwks) = (format!("{public_url}/auth/token"), format!("{public_url}/jwks"));
        Ok(Router::new()
            .route_service("/.well-known/openid-configuration", endpoint.discovery(token, jwks)?)
            .route_service("/jwks", endpoint.key_set())
            .route_service("/", endpoint.clone())
            .route_service("/auth/token", endpoint))
    }

    fn endpoint(&self, clerk: &Clerk) -> Result<TokenEndpoint, ConfigError> {
        let trusted = self.trusted.clone();
        let mut endpoint = TokenEndpoint::new(clerk.clone())
            // PACT refers to RFC 6749, so a `+` in a password is sent as `%2B`.
            .form_encoded_credentials()
            .map_errors(as_pact_has_it)
            .source_key(move |parts| {
                let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
                Some(addresses::source(trusted.client(*peer, &parts.headers)))
            });
        if let Some(organization) = &self.organization {
            endpoint = endpoint.organization(organization)?;
        }
        if let Some(template) = &self.template {
            endpoint = endpoint.template(&template.name)?;
        }
        Ok(endpoint)
    }

    /// The layer in front of the data, which takes the tokens of the endpoint and no passwords.
    pub(crate) fn layer(&self, clerk: &Clerk) -> Result<ClerkBasicAuthLayer, ConfigError> {
        let mut layer = ClerkBasicAuthLayer::new(clerk.clone());
        let mut tokens = self.bearer.clone();
        if let Some(organization) = &self.organization {
            layer = layer.organization(organization)?;
        }
        if let Some(template) = &self.template {
            tokens = tokens.template(&template.name, &template.audience);
            layer = layer.template(&template.name)?;
        }
        layer.accept_bearer_only(tokens)
    }
}

/// Refused credentials are 400 `invalid_request`, as PACT's cases 2 and 19 want it. Missing ones stay 401 with the
/// challenge, so that a client learns what to send.
fn as_pact_has_it(error: TokenError) -> TokenError {
    match error.rejection().map(|rejection| rejection.kind()) {
        Some(RejectionKind::CredentialsRejected) => {
            error.with_code(TokenErrorCode::InvalidRequest).with_status(StatusCode::BAD_REQUEST)
        }
        _ => error,
    }
}
