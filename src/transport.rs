//! The interface to the HTTP client that sends requests to Clerk.
//!
//! The built-in client is made of `reqwest`. To use another one, implement [`Transport`] and pass it to
//! [`ClerkBuilder::transport`](crate::ClerkBuilder::transport).

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};

/// The future that [`Transport::send`] returns.
pub type TransportFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send + 'a>>;

/// Sends requests to Clerk.
///
/// Implement this trait if requests must go through an HTTP client of your own, for example one with a proxy, a client
/// certificate or a service mesh. `testing::FakeClerk` is a transport too, so that a test needs no socket.
///
/// # Requirements
///
/// The body of a request may hold a password. An implementation must
/// - follow no redirect, because a redirect would send the password to another host,
/// - repeat no request that may have reached Clerk, because Clerk counts each sign-in,
/// - neither store nor send cookies, and add no `Origin`, which Clerk refuses together with `Authorization`,
/// - log no body, no `Authorization` header and no query of a URI, which can hold a session token that is still valid
///   (`expired_token`),
/// - fail with [`TransportError::too_large`] on a response body larger than [`max_body`] of the request.
///
/// The URI is absolute. An implementation needs no timeout: the caller drops the future when its time is up
/// ([`ClerkBuilder::upstream_timeout`](crate::ClerkBuilder::upstream_timeout)).
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use tower_clerk::transport::{Transport, TransportError, TransportFuture};
///
/// /// A transport that never reaches Clerk.
/// struct Offline;
///
/// impl Transport for Offline {
///     fn send(&self, _request: Request<Bytes>) -> TransportFuture<'_> {
///         Box::pin(async { Err(TransportError::connect("connection refused")) })
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and reads the whole response.
    ///
    /// # Errors
    ///
    /// The future returns an error if no complete response arrives. Use [`TransportError::connect`] only if the request
    /// certainly did not reach Clerk, because such a request is sent a second time.
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_>;
}

// The engine holds an `Arc<dyn Transport>`.
fn _object_safe(_: &dyn Transport) {}

/// The largest accepted response body: 1 MiB (1,048,576 bytes). Clerk's answers are a few kilobytes, except for lists: see
/// [`max_body`].
pub const MAX_BODY: usize = 1024 * 1024;

/// The largest accepted response body of a list: a page has up to 500 users, each with kilobytes of metadata.
pub(crate) const MAX_LIST: usize = 16 * MAX_BODY;

/// Marks a request whose response is a list.
#[derive(Clone, Copy)]
pub(crate) struct IsList;

/// The largest response body that is accepted for this request: 16 MiB for a list, [`MAX_BODY`] for all others.
///
/// A [`Transport`] that knows [`MAX_BODY`] alone is safe as well. A page that is too large for it is asked for again in
/// halves.
///
/// ```
/// use bytes::Bytes;
/// use tower_clerk::transport::{MAX_BODY, max_body};
///
/// assert_eq!(max_body(&http::Request::new(Bytes::new())), MAX_BODY);
/// ```
#[must_use]
pub fn max_body(request: &Request<Bytes>) -> usize {
    if request.extensions().get::<IsList>().is_some() { MAX_LIST } else { MAX_BODY }
}

/// A request to Clerk that got no complete response.
///
/// The crate logs this error with its source. The source must therefore hold no URL and no part of the request.
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
    /// An error for a request that certainly did not reach Clerk: no connection was made (connection refused, unknown
    /// host, failed TLS handshake).
    ///
    /// The request is sent once more.
    #[must_use]
    pub fn connect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::Connect, source: Some(source.into()) }
    }

    /// An error for a request that Clerk may have seen, such as a connection that closed before the response was
    /// complete.
    ///
    /// The request is not sent again, because Clerk counts each sign-in.
    #[must_use]
    pub fn broken(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::Broken, source: Some(source.into()) }
    }

    /// An error for a response body that is larger than [`max_body`] of the request.
    #[must_use]
    pub fn too_large() -> Self {
        Self { kind: TransportErrorKind::TooLarge, source: None }
    }

    /// Whether the response body was too large.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.kind == TransportErrorKind::TooLarge
    }

    /// Whether the request certainly did not reach Clerk.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind == TransportErrorKind::Connect
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Connect => "could not connect to Clerk",
            TransportErrorKind::Broken => "the connection to Clerk broke before the response was complete",
            TransportErrorKind::TooLarge => "Clerk's answer was larger than the request allows",
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
