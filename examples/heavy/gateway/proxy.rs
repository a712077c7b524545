//! The reverse proxy: one request to the upstream for each authenticated request.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tower_clerk::layer::IdentityHeaders;

use crate::addresses::TrustedProxies;
use crate::fields::{Way, remove_hop_by_hop, remove_identity, set_upgrade};
use crate::upload::{Progress, Stage, Upload};
use crate::upstream::{Connections, Upstream};

pub(crate) struct Proxy {
    connections: Connections,
    upstream: Upstream,
    timeout: Duration,
    trusted: TrustedProxies,
}

/// Whether the client has asked for a WebSocket, in the extensions of a request that [`cleaned`] has seen.
#[derive(Clone, Copy)]
struct Upgrades(bool);

/// Removes what a client must not send through the gateway. It runs before the layer, so that neither an option of
/// `Connection` nor a copy by another name undoes what the layer sets.
pub(crate) fn cleaned(mut request: Request) -> Request {
    // HTTP/1.0 has no upgrades (RFC 9110, section 7.8).
    let can_upgrade = request.version() == Version::HTTP_11;
    let headers = request.headers_mut();
    let upgrades = remove_hop_by_hop(headers) && can_upgrade;
    remove_identity(headers, &IdentityHeaders::new());
    request.extensions_mut().insert(Upgrades(upgrades));
    request
}

impl Proxy {
    pub(crate) fn new(
        upstream: Upstream,
        timeout: Duration,
        trusted: TrustedProxies,
    ) -> Result<Self, String> {
        Ok(Self { connections: Connections::new()?, upstream, timeout, trusted })
    }

    /// Sends a request to the upstream, and returns its answer.
    pub(crate) async fn forward(&self, peer: SocketAddr, mut request: Request) -> Response {
        let client_side = hyper::upgrade::on(&mut request);
        let upgrades = request.extensions().get::<Upgrades>().is_some_and(|upgrades| upgrades.0);
        let (request, progress) = match self.request_to_upstream(peer, request, upgrades) {
            Ok(prepared) => prepared,
            Err(status) => return problem(status, "the request can't be forwarded"),
        };
        let mut response = match self.answer(request, upgrades, &progress).await {
            Ok(response) => response,
            Err(response) => return *response,
        };
        let upstream_side = hyper::upgrade::on(&mut response);
        let (mut parts, body) = response.into_parts();
        let agreed = remove_hop_by_hop(&mut parts.headers);
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            if !(upgrades && agreed) {
                return problem(StatusCode::BAD_GATEWAY, "the upstream has switched protocols unasked");
            }
            set_upgrade(&mut parts.headers);
            tokio::spawn(tunnel(client_side, upstream_side));
        }
        parts.version = Version::default();
        Response::from_parts(parts, Body::new(body))
    }

    fn request_to_upstream(
        &self,
        peer: SocketAddr,
        request: Request,
        upgrades: bool,
    ) -> Result<(Request, Progress), StatusCode> {
        let (mut parts, body) = request.into_parts();
        if parts.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if parts.headers.get_all(header::HOST).iter().count() > 1 {
            return Err(StatusCode::BAD_REQUEST);
        }
        let root = PathAndQuery::from_static("/");
        let path = parts.uri.path_and_query().unwrap_or(&root);
        let uri = self.upstream.uri(path).ok_or(StatusCode::BAD_REQUEST)?;
        self.way(peer, &parts.headers, &parts.uri).set(&mut parts.headers);
        join_cookies(&mut parts.headers);
        // The client of the upstream sets it from the address; the gateway answers `Expect` by reading the body.
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::EXPECT);
        if upgrades {
            set_upgrade(&mut parts.headers);
        }
        parts.uri = uri;
        parts.version = Version::default();
        parts.extensions.clear();
        // Without it, the client of the upstream would leave the body of a GET out.
        if matches!(parts.method, Method::GET | Method::HEAD) && body.size_hint().exact().is_none() {
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let (body, progress) = Upload::new(body, IdentityHeaders::new());
        Ok((Request::from_parts(parts, Body::new(body)), progress))
    }

    fn way(&self, peer: SocketAddr, headers: &HeaderMap, uri: &Uri) -> Way {
        let is_trusted = self.trusted.trusts(peer.ip());
        // Of several lines, or of a list, the first one may be the client's.
        let told = |name: &str| {
            let mut lines = headers.get_all(name).iter().filter(|_| is_trusted);
            let line = lines.next()?.to_str().ok()?;
            (lines.next().is_none() && !line.contains(',')).then_some(line)
        };
        // A request in absolute form names its host there, whatever `Host` says (RFC 9112, section 3.2.2).
        let authority = uri.authority().map(Authority::as_str);
        let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
        let host = told("x-forwarded-host").or(host);
        Way {
            client: self.trusted.client(peer, headers),
            // A quote would end the quoted-string in `Forwarded`; and a host has no user.
            host: host
                .filter(|host| host.parse::<Authority>().is_ok() && !host.contains(['"', '@']))
                .map(str::to_owned),
            scheme: if told("x-forwarded-proto") == Some("https") { "https" } else { "http" },
        }
    }

    /// The upstream's answer, unless its first byte comes too long after the last byte of the request.
    async fn answer(
        &self,
        request: Request,
        upgrades: bool,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Box<Response>> {
        let mut answer = std::pin::pin!(self.connections.send(request, upgrades));
        loop {
            tokio::select! {
                answer = &mut answer => {
                    return answer.map_err(|error| {
                        if progress.state().stage == Stage::Broken {
                            return Box::new(problem(StatusCode::BAD_REQUEST, "the request's body is broken"));
                        }
                        let cause = error_chain(&error);
                        tracing::warn!(upstream = %self.upstream, %error, cause, "the upstream can't be reached");
                        Box::new(problem(StatusCode::BAD_GATEWAY, "the upstream can't be reached"))
                    });
                }
                () = tokio::time::sleep_until(progress.state().since + self.timeout) => {}
            }
            let state = progress.state();
            if state.since + self.timeout > Instant::now() {
                continue;
            }
            if state.stage == Stage::WaitsForClient {
                return Err(Box::new(problem(StatusCode::REQUEST_TIMEOUT, "the request doesn't arrive")));
            }
            tracing::warn!(upstream = %self.upstream, timeout = ?self.timeout, "the upstream doesn't answer");
            return Err(Box::new(problem(StatusCode::GATEWAY_TIMEOUT, "the upstream doesn't answer")));
        }
    }
}

/// HTTP/2 may split cookies into several fields, which HTTP/1.1 doesn't allow (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

/// Copies bytes both ways until both sides have closed.
async fn tunnel(client: OnUpgrade, upstream: OnUpgrade) {
    match tokio::try_join!(client, upstream) {
        Ok((client, upstream)) => {
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut upstream).await {
                tracing::debug!(%error, "an upgraded connection broke off");
            }
        }
        Err(error) => tracing::debug!(%error, "a connection wasn't upgraded"),
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut chain = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        chain += &format!("{}{error}", if chain.is_empty() { "" } else { ": " });
        source = error.source();
    }
    chain
}

fn problem(status: StatusCode, title: &str) -> Response {
    let code = match status {
        StatusCode::BAD_GATEWAY => "bad_gateway",
        StatusCode::GATEWAY_TIMEOUT => "gateway_timeout",
        StatusCode::REQUEST_TIMEOUT => "request_timeout",
        _ => "bad_request",
    };
    let body = serde_json::json!({ "status": status.as_u16(), "title": title, "code": code });
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
