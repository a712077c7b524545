//! The way of a token request.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use serde::Serialize;
use tower_service::Service;
use zeroize::Zeroizing;

use super::body;
use super::endpoint::TokenEndpoint;
use super::error::{TokenError, json, no_store};
use super::form::Form;
use super::future::ResponseFuture;
use super::response_body::ResponseBody;
use crate::session::ClerkSession;

impl<B> Service<Request<B>> for TokenEndpoint
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let endpoint = self.clone();
        ResponseFuture::new(async move {
            let (parts, body) = request.into_parts();
            match endpoint.session(&parts, body).await {
                Ok(session) => endpoint.granted(&session),
                Err(error) => endpoint.refused(error, &parts),
            }
        })
    }
}

impl TokenEndpoint {
    /// The session whose token the client gets.
    async fn session<B: Body>(&self, parts: &Parts, body: B) -> Result<ClerkSession, TokenError> {
        if parts.method != Method::POST {
            return Err(TokenError::method_not_allowed("POST"));
        }
        let policy = self.policy();
        let (credentials, access) = {
            let body = body::read(body).await?;
            let form = Form::parse(&parts.headers, &body)?;
            match form.text("grant_type")?.as_deref() {
                Some("client_credentials") => {}
                Some(_) => return Err(TokenError::unsupported_grant_type()),
                None => return Err(TokenError::invalid_request("the grant_type is missing")),
            }
            let access = policy.access_of(&form)?;
            let credentials = policy.client.credentials(&parts.headers, &form);
            // The engine counts the outcomes of exchanges only.
            let count = |error: &TokenError| error.rejection().map(|it| self.clerk().count_rejection(it));
            (credentials.inspect_err(|error| _ = count(error))?, access)
        };
        let session = self.clerk().authenticate_from(policy.source_of(parts), &credentials, &access).await;
        session.map_err(if policy.chooses_access() { TokenError::of_scope } else { TokenError::from })
    }

    /// The answer of RFC 6749, section 5.1.
    fn granted(&self, session: &ClerkSession) -> Response<ResponseBody> {
        #[derive(Serialize)]
        struct Granted<'s> {
            access_token: &'s str,
            token_type: &'static str,
            expires_in: u64,
        }
        let granted = Granted {
            access_token: session.token(),
            token_type: "Bearer",
            expires_in: self.clerk().token_life_left(session).as_secs(),
        };
        // At its full size, because a growing buffer leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(session.token().len() + 128));
        serde_json::to_writer(&mut *body, &granted).expect("strings and a number are JSON");
        let mut response = json(Bytes::from_owner(body));
        no_store(response.headers_mut());
        response
    }

    fn refused(&self, error: TokenError, parts: &Parts) -> Response<ResponseBody> {
        match error.rejection() {
            Some(rejection) => self.clerk().log_rejection(rejection),
            None => {
                tracing::debug!(
                    target: "tower_clerk::rejection",
                    code = error.code().as_str(), reason = error.description(), "refused"
                );
            }
        }
        let policy = self.policy();
        policy.mapped(error).into_response(&policy.challenge, &parts.headers)
    }
}
