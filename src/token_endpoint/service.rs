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
use super::endpoint::{Grants, TokenEndpoint};
use super::error::{TokenError, json, no_store};
#[cfg(feature = "federation")]
use super::exchange;
use super::form::Form;
use super::future::ResponseFuture;
use super::response_body::ResponseBody;
use crate::credentials::Credentials;
#[cfg(feature = "federation")]
use crate::federation::Assertion;
use crate::session::ClerkSession;

/// The grant of a request.
#[derive(Clone, Copy)]
enum Grant {
    ClientCredentials,
    #[cfg(feature = "federation")]
    TokenExchange,
}

enum Presented {
    Credentials(Credentials),
    /// With the type that the issued token is to be called by.
    #[cfg(feature = "federation")]
    Assertion(Assertion, &'static str),
}

struct Granted {
    session: ClerkSession,
    issued_token_type: Option<&'static str>,
}

impl Grants {
    /// The grant with this `grant_type`, if it is accepted.
    fn of(self, grant_type: &str) -> Result<Grant, TokenError> {
        match grant_type {
            "client_credentials" if self.client_credentials => Ok(Grant::ClientCredentials),
            #[cfg(feature = "federation")]
            exchange::GRANT_TYPE if self.token_exchange => Ok(Grant::TokenExchange),
            _ => Err(TokenError::unsupported_grant_type()),
        }
    }
}

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
                Ok(granted) => endpoint.granted(&granted),
                Err(error) => endpoint.refused(error, &parts),
            }
        })
    }
}

impl TokenEndpoint {
    /// The session whose token the client gets, and the type of the token if that has to be said.
    async fn session<B: Body>(&self, parts: &Parts, body: B) -> Result<Granted, TokenError> {
        if parts.method != Method::POST {
            return Err(TokenError::method_not_allowed("POST"));
        }
        let policy = self.policy();
        let (presented, access) = {
            let body = body::read(body).await?;
            let form = Form::parse(&parts.headers, &body)?;
            let grant = form.text("grant_type")?;
            let grant =
                grant.as_deref().ok_or_else(|| TokenError::invalid_request("the grant_type is missing"))?;
            let grant = policy.grants.of(grant)?;
            let access = policy.access_of(&form)?;
            (self.presented(grant, parts, &form)?, access)
        };
        let source = policy.source_of(parts);
        let of_rejection = if policy.chooses_access() { TokenError::of_scope } else { TokenError::from };
        match presented {
            Presented::Credentials(credentials) => {
                let session = self.clerk().authenticate_from(source, &credentials, &access).await;
                Ok(Granted { session: session.map_err(of_rejection)?, issued_token_type: None })
            }
            #[cfg(feature = "federation")]
            Presented::Assertion(assertion, issued) => {
                let session = self.clerk().exchange_from(source, &assertion, &access).await;
                let session = session.map_err(|rejection| of_rejection(rejection).of_exchange())?;
                Ok(Granted { session, issued_token_type: Some(issued) })
            }
        }
    }

    /// The grant that a request presents for a token.
    fn presented(&self, grant: Grant, parts: &Parts, form: &Form<'_>) -> Result<Presented, TokenError> {
        match grant {
            Grant::ClientCredentials => {
                let credentials = self.policy().client.credentials(&parts.headers, form);
                // The engine counts the outcomes of exchanges only.
                let count = |error: &TokenError| error.rejection().map(|it| self.clerk().count_rejection(it));
                credentials.inspect_err(|error| _ = count(error)).map(Presented::Credentials)
            }
            #[cfg(feature = "federation")]
            Grant::TokenExchange => {
                let (assertion, issued) = exchange::assertion(&parts.headers, form)?;
                let nonce = self.policy().nonce.as_ref().and_then(|nonce| nonce(parts));
                let assertion = nonce.into_iter().fold(assertion, Assertion::nonce);
                Ok(Presented::Assertion(assertion, issued))
            }
        }
    }

    /// The answer of RFC 6749, section 5.1, and of RFC 8693, section 2.2.1.
    fn granted(&self, granted: &Granted) -> Response<ResponseBody> {
        #[derive(Serialize)]
        struct Members<'s> {
            access_token: &'s str,
            #[serde(skip_serializing_if = "Option::is_none")]
            issued_token_type: Option<&'static str>,
            token_type: &'static str,
            expires_in: u64,
        }
        let session = &granted.session;
        let members = Members {
            access_token: session.token(),
            issued_token_type: granted.issued_token_type,
            token_type: "Bearer",
            expires_in: self.clerk().token_life_left(session).as_secs(),
        };
        // At its full size, because a growing buffer leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(session.token().len() + 192));
        serde_json::to_writer(&mut *body, &members).expect("strings and a number are JSON");
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
