//! The upstream's address, and the connections to it.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
}

impl Upstream {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let bad = || format!("{url:?} must be an address like http://127.0.0.1:8080, without a path");
        let parts = url.parse::<Uri>().map_err(|_| bad())?.into_parts();
        let has_no_path = parts.path_and_query.is_none_or(|path| path.as_str() == "/");
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority))
                if has_no_path
                    && (scheme == Scheme::HTTP || scheme == Scheme::HTTPS)
                    && !authority.host().is_empty()
                    && !authority.as_str().contains('@') =>
            {
                Ok(Self { scheme, authority })
            }
            _ => Err(bad()),
        }
    }

    pub(crate) fn uri(&self, path: &PathAndQuery) -> Option<Uri> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        uri.path_and_query(path.clone()).build().ok()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// The connections to the upstream. Idle ones are kept for 30 s.
pub(crate) struct Connections {
    /// HTTP/2 where an `https` upstream chooses it, otherwise HTTP/1.1.
    any: Client<HttpsConnector<HttpConnector>, Body>,
    /// HTTP/1.1 alone, the only version with upgrades.
    http1: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Connections {
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Self {
            any: client(tls()?.enable_all_versions().wrap_connector(tcp())),
            http1: client(tls()?.enable_http1().wrap_connector(tcp())),
        })
    }

    /// Sends a request. The answer comes with its first byte, and its body later.
    pub(crate) async fn send(&self, request: Request, upgrades: bool) -> Result<Response<Incoming>, Error> {
        let client = if upgrades { &self.http1 } else { &self.any };
        client.request(request).await
    }
}

fn client(https: HttpsConnector<HttpConnector>) -> Client<HttpsConnector<HttpConnector>, Body> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(https)
}

fn tls() -> Result<HttpsConnectorBuilder<WantsProtocols1>, String> {
    let tls = HttpsConnectorBuilder::new().try_with_platform_verifier();
    Ok(tls.map_err(|error| format!("the certificate verifier can't be made: {error}"))?.https_or_http())
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // The scheme is checked by `Upstream::parse`.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_an_upstream_is_a_scheme_a_host_and_a_port() {
        for good in ["http://127.0.0.1:8080", "https://api.example.com/", "http://[::1]:80", "http://app"] {
            assert!(Upstream::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:8080",
            "//app",
            "/",
            "ftp://app",
            "http://app/base",
            "http://app/?a",
            "http://user:pw@app",
            "http://",
            "http://:80",
        ] {
            assert!(Upstream::parse(bad).is_err(), "{bad}");
        }
    }
}
