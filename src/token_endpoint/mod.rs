//! An OAuth 2.0 token endpoint: client credentials in, Clerk's JWT out.
//!
//! Machines that follow [RFC 6749, section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4) send their
//! credentials to a token endpoint once, and a Bearer token to the API from then on. [`TokenEndpoint`] is such an
//! endpoint, as a `tower::Service`: the client's id and secret are the identifier and the password of an account at Clerk,
//! and the token is Clerk's own JWT. An API behind a layer that
//! [accepts Bearer tokens](crate::ClerkBasicAuthLayer::accept_bearer), or a service that verifies Clerk's tokens itself,
//! takes it.
//!
//! Beside it are two documents by which clients and services find their way: a [`DiscoveryDocument`], with the address of
//! the endpoint, and the [`KeySet`], with the keys that verify the tokens.
//!
//! # Requests
//!
//! A request is answered in this order:
//!
//! 1. A method other than `POST` is answered 405. CORS is for a layer outside of the endpoint.
//! 2. The body must be `application/x-www-form-urlencoded`, at most 8 KiB, and complete within 10 s: otherwise the answer is
//!    400, 413 or 408, with the code `invalid_request`. So is a parameter that comes twice; unknown ones are ignored.
//! 3. `grant_type` must be `client_credentials`, or that of a token exchange if the endpoint
//!    [accepts one](TokenEndpoint::accept_token_exchange), which has parameters of its own.
//! 4. The credentials are HTTP Basic, [as they are](TokenEndpoint::form_encoded_credentials), or `client_id` and
//!    `client_secret` if the endpoint [takes them from the form](TokenEndpoint::credentials_in_form). Both at once are
//!    `invalid_request`.
//! 5. `scope` and `audience` may [choose](TokenEndpoint::access_from) the organization and the JWT template. Without such a
//!    function, a `scope` is answered `invalid_scope`, and an `audience` is an unknown parameter.
//! 6. The engine exchanges the credentials as it does for a layer: with the same sessions, sign-in budget and protection
//!    from guessing.
//!
//! # Answers
//!
//! A token has at least half of its life left, and `expires_in` says how much, in whole seconds. Clerk's session tokens live
//! for 60 s, so a client that asks whenever its token has expired causes a mint each minute, which is one call to Clerk and
//! no sign-in. [`token_lifetime`](crate::ClerkBuilder::token_lifetime) makes the Backend API mint tokens that live longer; a
//! JWT template has a life of its own.
//!
//! | what happened | status | `error` |
//! |---|---|---|
//! | malformed request | 400, 405, 408, 413 | `invalid_request` |
//! | another grant | 400 | `unsupported_grant_type` |
//! | unknown scope; a scope of an organization that isn't the user's | 400 | `invalid_scope` |
//! | credentials missing, malformed or rejected | 401 | `invalid_client` |
//! | the account must act first, or has a second factor; not a member of the endpoint's organization | 400 | `unauthorized_client` |
//! | too many failures with this identifier | 429 | `temporarily_unavailable` |
//! | no permit of the sign-in budget, or Clerk is unavailable | 503 | `temporarily_unavailable` |
//! | misconfigured | 500 | `server_error` |
//!
//! [`map_errors`](TokenEndpoint::map_errors) changes codes and statuses. Every answer carries `Cache-Control: no-store` and
//! `Pragma: no-cache`, a 401 the challenge, and a 429 or 503 `Retry-After`. A layer outside finds a [`TokenError`] in the
//! extensions of an error response, and the [`Rejection`](crate::Rejection) if the engine or the credentials led to it.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, http::Request};
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//! use tower_clerk::testing;
//! use tower_clerk::token_endpoint::TokenEndpoint;
//!
//! let (_fake, clerk) = testing::unlimited();
//! let endpoint = TokenEndpoint::new(clerk).organization("acme")?;
//! let discovery = endpoint.discovery("https://api.example.com/auth/token", "https://api.example.com/jwks")?;
//! let app: Router = Router::new()
//!     .route_service("/jwks", endpoint.key_set())
//!     .route_service("/.well-known/openid-configuration", discovery)
//!     .route_service("/auth/token", endpoint);
//!
//! let request = Request::post("/auth/token")
//!     .header("authorization", testing::basic("jane@example.com", "correct horse battery staple"))
//!     .header("content-type", "application/x-www-form-urlencoded")
//!     .body(Body::from("grant_type=client_credentials"))?;
//! let response = app.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! let body = response.into_body().collect().await?.to_bytes();
//! let answer: serde_json::Value = serde_json::from_slice(&body)?;
//! assert_eq!(answer["token_type"], "Bearer");
//! assert!(answer["expires_in"].as_u64() >= Some(29));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```

mod body;
mod client;
mod discovery;
mod endpoint;
mod error;
#[cfg(feature = "federation")]
mod exchange;
mod form;
mod future;
mod key_set;
mod request;
mod response_body;
mod service;

pub use self::discovery::DiscoveryDocument;
pub use self::endpoint::TokenEndpoint;
pub use self::error::{TokenError, TokenErrorCode};
pub use self::future::ResponseFuture;
pub use self::key_set::KeySet;
pub use self::request::TokenRequest;
pub use self::response_body::ResponseBody;
