//! Fetches a provider's key set (OpenID Connect Discovery).

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use crate::clerk_api::{ApiError, parse};
use crate::instance::Instance;
use crate::jwt::FetchFuture;
use crate::limits::WarnThrottle;
use crate::transport::{MAX_BODY, Transport};

/// Where the keys of a checked provider come from.
#[derive(Clone)]
pub(super) enum Keys {
    Discovery { issuer: Arc<str>, transport: Arc<dyn Transport> },
    Address { url: Arc<str>, transport: Arc<dyn Transport> },
    File(PathBuf),
}

/// Returns the function that fetches the key set, unparsed.
pub(crate) fn fetcher(provider: &super::TrustedProvider) -> Box<dyn Fn() -> FetchFuture + Send + Sync> {
    let (keys, issuer) = (provider.keys.clone(), Arc::clone(&provider.issuer));
    let warnings = Arc::new(WarnThrottle::default());
    Box::new(move || {
        let (keys, issuer, warnings) = (keys.clone(), Arc::clone(&issuer), Arc::clone(&warnings));
        Box::pin(async move {
            let fetched = keys.fetch().await;
            if let Err(error) = &fetched
                && warnings.is_due(error.code.as_deref().unwrap_or_default(), Instant::now())
            {
                tracing::warn!(
                    issuer = &*issuer,
                    code = error.code.as_deref(),
                    "a provider's keys can't be fetched"
                );
            }
            fetched
        })
    })
}

impl Keys {
    async fn fetch(&self) -> Result<Bytes, ApiError> {
        match self {
            Self::Address { url, transport } => get(&**transport, url).await,
            Self::Discovery { issuer, transport } => {
                let document = get(&**transport, &discovery_url(issuer)).await?;
                let url = jwks_uri(&document, issuer)?;
                get(&**transport, &url).await
            }
            Self::File(path) => {
                let path = path.clone();
                // A read of a file may block.
                let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
                let bytes = read.ok().and_then(Result::ok);
                bytes.map(Bytes::from).ok_or_else(|| ApiError::unavailable("provider_key_file_unreadable"))
            }
        }
    }
}

/// The address of the discovery document: a slash at the issuer's end is left out
/// (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest>).
fn discovery_url(issuer: &str) -> String {
    [issuer.strip_suffix('/').unwrap_or(issuer), "/.well-known/openid-configuration"].concat()
}

/// The address of the key set in a discovery document, which must be that of this issuer.
fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let Document { issuer: found, jwks_uri } = parse(document)?;
    // A document of another issuer would bring the other's keys.
    if found != issuer {
        return Err(ApiError::unavailable("provider_discovery_of_another_issuer"));
    }
    if !is_safe(&jwks_uri, issuer.starts_with("https:")) {
        return Err(ApiError::unavailable("provider_key_set_without_tls"));
    }
    Ok(jwks_uri)
}

/// Whether this is an address of https, or one of this machine if the issuer is one as well.
pub(super) fn is_safe(url: &str, only_https: bool) -> bool {
    // The parser is one for addresses without a query, and a key set's may have one.
    let plain = url.split_once('?').map_or(url, |(plain, _)| plain);
    let is_absolute = plain.contains("://") && !url.contains('#');
    is_absolute && Instance::parse(plain).is_ok_and(|parsed| parsed.is_https() || !only_https)
}

/// A 200 and nothing else: a redirect may lead to an address that nobody has configured.
async fn get(transport: &dyn Transport, url: &str) -> Result<Bytes, ApiError> {
    let request = Request::get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
    let request =
        request.body(Bytes::new()).map_err(|_| ApiError::unavailable("provider_address_unusable"))?;
    let response = transport.send(request).await.map_err(|error| {
        tracing::debug!(url, error = &error as &dyn std::error::Error, "no answer from a provider");
        ApiError::unavailable("provider_unreachable")
    })?;
    if response.status() != StatusCode::OK {
        tracing::debug!(
            url,
            status = response.status().as_u16(),
            "a provider answered with another status than 200"
        );
        return Err(ApiError::unavailable("provider_status"));
    }
    if response.body().len() > MAX_BODY {
        return Err(ApiError::unavailable("oversized"));
    }
    Ok(response.into_body())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn x1_a_discovery_document_is_of_this_issuer_and_leads_to_https() {
        let issuer = "https://idp.example.com";
        let uri = |document: serde_json::Value| {
            jwks_uri(document.to_string().as_bytes(), issuer).map_err(|error| error.code.unwrap())
        };
        let good = "https://keys.example.com/jwks?tenant=1";
        assert_eq!(uri(json!({"issuer": issuer, "jwks_uri": good})).unwrap(), good);
        for other in ["https://idp.example.com/", "https://IDP.example.com", "https://evil.example.com", ""] {
            let code = uri(json!({"issuer": other, "jwks_uri": good})).unwrap_err();
            assert_eq!(&*code, "provider_discovery_of_another_issuer", "{other}");
        }
        for address in [
            "http://keys.example.com/jwks",
            "http://127.0.0.1/jwks",
            "file:///etc/passwd",
            "//keys.example.com/jwks",
            "https://user@keys.example.com/jwks",
            "/jwks",
            "",
        ] {
            let code = uri(json!({"issuer": issuer, "jwks_uri": address})).unwrap_err();
            assert_eq!(&*code, "provider_key_set_without_tls", "{address}");
        }
        assert!(uri(json!({"issuer": issuer})).is_err());
        let local = json!({"issuer": "http://127.0.0.1:9", "jwks_uri": "http://localhost:9/jwks"});
        assert!(jwks_uri(local.to_string().as_bytes(), "http://127.0.0.1:9").is_ok());
    }

    #[test]
    fn x1_a_slash_at_the_issuers_end_is_not_doubled() {
        for issuer in ["https://idp.example.com", "https://idp.example.com/"] {
            assert_eq!(discovery_url(issuer), "https://idp.example.com/.well-known/openid-configuration");
        }
    }
}
