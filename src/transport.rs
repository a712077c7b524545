//! The one door to Clerk: a request with its bytes in, a response with its bytes out.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};

/// What a [`Transport`] answers with, in time.
pub type TransportFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send + 'a>>;

/// Carries requests to Clerk.
///
/// The crate brings one made of `reqwest`. Write your own where requests must go through an HTTP client that
/// you already have: one with a proxy, a client certificate, a service mesh. `testing::FakeClerk` is one too,
/// so that a test needs no socket.
///
/// # What an implementation must keep to
///
/// The request's body holds a password. Whatever sends it
/// - follows no redirect (a redirect would carry the password to another place),
/// - repeats no request that may have reached the other side (Clerk counts each sign-in),
/// - keeps and sends no cookies, and adds no `Origin` (Clerk refuses it beside `Authorization`),
/// - logs neither bodies nor the `Authorization` header nor the URI's query, which can hold a session token that still
///   serves (`expired_token`),
/// - gives up on a body larger than [`MAX_BODY`] with [`TransportError::too_large`].
///
/// The URI is absolute. There is no deadline to keep: the caller drops the future when time is up.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use tower_clerk::transport::{Transport, TransportError, TransportFuture};
///
/// /// A Clerk that is always away.
/// struct Away;
///
/// impl Transport for Away {
///     fn send(&self, _request: Request<Bytes>) -> TransportFuture<'_> {
///         Box::pin(async { Err(TransportError::connect("connection refused")) })
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and reads the whole response.
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_>;
}

// The trait must stay usable as `Arc<dyn Transport>`.
fn _object_safe(_: &dyn Transport) {}

/// The largest response body that is read: 1 MiB. What Clerk sends is a few kilobytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// A request to Clerk that brought no response.
///
/// It holds no URL and no part of the request, so it may be logged.
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransportErrorKind {
    Connect,
    Broken,
    TooLarge,
}

impl TransportError {
    /// The request certainly didn't reach Clerk: no connection was made (refused, no such host, TLS failed).
    ///
    /// Only such a request may be sent once more.
    pub fn connect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::Connect, source: Some(source.into()) }
    }

    /// The exchange broke off at a point where Clerk may have seen the request.
    pub fn broken(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::Broken, source: Some(source.into()) }
    }

    /// The response's body was larger than [`MAX_BODY`].
    #[must_use]
    pub fn too_large() -> Self {
        Self { kind: TransportErrorKind::TooLarge, source: None }
    }

    /// Whether the request certainly didn't reach Clerk.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind == TransportErrorKind::Connect
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Connect => "no connection to Clerk could be made",
            TransportErrorKind::Broken => "the exchange with Clerk broke off",
            TransportErrorKind::TooLarge => "Clerk's answer was larger than 1 MiB",
        })
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError").field("kind", &self.kind).field("source", &self.source).finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
