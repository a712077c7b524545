use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tower_service::Service;

use super::endpoint::TokenEndpoint;
use super::error::{TokenError, json};
use super::future::ResponseFuture;
use super::response_body::ResponseBody;
use crate::engine::Clerk;
use crate::rejection::Challenge;

/// How long others may keep a document, in seconds. A service that verifies tokens learns of a new key within that time; the
/// engine itself refetches its keys after 5 min, and at once for a minted token with a new one.
const MAX_AGE: &str = "public, max-age=60";

/// Service that answers with the instance's key set, for services that verify the tokens themselves.
///
/// [`TokenEndpoint::key_set`] creates it. It answers `GET` and `HEAD` from the keys that the engine holds: they are fetched
/// from Clerk once they are needed, and refetched in the background after 5 min. It has the keys that the engine itself
/// accepts, RSA keys for RS256, and no more of them than verifying takes
/// ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)). If there are no keys and Clerk can't be reached, the answer is 503
/// with `Retry-After`.
#[derive(Clone)]
pub struct KeySet {
    clerk: Clerk,
}

impl TokenEndpoint {
    /// Creates the service that answers with the instance's key set.
    #[must_use]
    pub fn key_set(&self) -> KeySet {
        KeySet { clerk: self.clerk().clone() }
    }
}

impl<B> Service<Request<B>> for KeySet {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let (clerk, method) = (self.clerk.clone(), request.method().clone());
        ResponseFuture::new(async move {
            let keys = match allowed(&method) {
                Ok(()) => clerk.published_keys().await.map_err(TokenError::from),
                Err(error) => Err(error),
            };
            document(keys)
        })
    }
}

/// Refuses methods that don't read.
pub(super) fn allowed(method: &Method) -> Result<(), TokenError> {
    if [Method::GET, Method::HEAD].contains(method) {
        Ok(())
    } else {
        Err(TokenError::method_not_allowed("GET, HEAD"))
    }
}

/// The response with a document that anyone may read.
pub(super) fn document(document: Result<Bytes, TokenError>) -> Response<ResponseBody> {
    match document {
        Ok(document) => {
            let mut response = json(document);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(MAX_AGE));
            response
        }
        Err(error) => error.into_response(&Challenge::default(), &HeaderMap::new()),
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").finish_non_exhaustive()
    }
}
