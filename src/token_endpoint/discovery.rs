use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use tower_service::Service;

use super::endpoint::TokenEndpoint;
use super::key_set::{allowed, document};
use super::response_body::ResponseBody;
use crate::engine::builder::ConfigError;

/// Service that answers with the discovery document of a [`TokenEndpoint`], for the path
/// `/.well-known/openid-configuration`.
///
/// [`TokenEndpoint::discovery`] creates it. It answers `GET` and `HEAD` with the metadata of
/// [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414): the `issuer`, the address of the endpoint and of the key set, and how
/// clients may authenticate. The `issuer` is the one of Clerk's tokens, the address of the instance's Frontend API, so that
/// a service that compares it with a token's `iss` accepts the token. A client that compares it with the address of the
/// document finds another one.
///
/// Its addresses come from settings, and never from the `Host` field, which a client chooses.
#[derive(Clone, Debug)]
pub struct DiscoveryDocument {
    body: Bytes,
}

impl TokenEndpoint {
    /// Creates the service that answers with the discovery document of this endpoint.
    ///
    /// `token_endpoint` and `jwks_uri` are the absolute addresses at which clients reach this endpoint and its
    /// [`key_set`](Self::key_set). Call it after the endpoint's other settings, as the document shows them.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the two isn't an absolute address of http or https.
    pub fn discovery(
        &self,
        token_endpoint: impl Into<String>,
        jwks_uri: impl Into<String>,
    ) -> Result<DiscoveryDocument, ConfigError> {
        let token_endpoint = absolute("token_endpoint", token_endpoint.into())?;
        let jwks_uri = absolute("jwks_uri", jwks_uri.into())?;
        let methods: &[&str] = match self.policy().client.in_form {
            true => &["client_secret_basic", "client_secret_post"],
            false => &["client_secret_basic"],
        };
        let document = serde_json::json!({
            "issuer": self.clerk().issuer(),
            "token_endpoint": token_endpoint,
            "jwks_uri": jwks_uri,
            "grant_types_supported": self.grant_types(),
            "token_endpoint_auth_methods_supported": methods,
            // Required by RFC 8414; there is no authorization endpoint.
            "response_types_supported": [],
            // Required by OpenID Connect Discovery.
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        Ok(DiscoveryDocument { body: document.to_string().into() })
    }
}

impl TokenEndpoint {
    fn grant_types(&self) -> Vec<&'static str> {
        let grants = self.policy().grants;
        let mut types = Vec::new();
        if grants.client_credentials {
            types.push("client_credentials");
        }
        #[cfg(feature = "federation")]
        if grants.token_exchange {
            types.push(super::exchange::GRANT_TYPE);
        }
        types
    }
}

fn absolute(name: &'static str, url: String) -> Result<String, ConfigError> {
    let is_absolute = url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    // `Uri` drops a fragment.
    if is_absolute && !url.contains('#') { Ok(url) } else { Err(ConfigError::Url { name, url }) }
}

impl<B> Service<Request<B>> for DiscoveryDocument {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<ResponseBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(document(allowed(request.method()).map(|()| self.body.clone()))))
    }
}
