//! Middleware that authenticates requests by HTTP Basic against Clerk.
//!
//! [`ClerkBasicAuthLayer`] works in front of any `tower::Service<http::Request<B>>` whose response is an
//! `http::Response`. All work at Clerk is done by the engine, [`Clerk`](crate::Clerk); the layer decides which requests
//! need it, what the inner service sees, and how a rejection looks.
//!
//! Each request is decided in this order:
//!
//! 1. A request that is [exempt](ClerkBasicAuthLayer::exempt), or a preflight that the layer
//!    [lets pass](ClerkBasicAuthLayer::pass_preflight), reaches the inner service with an
//!    [`Anonymous`](crate::Anonymous) in its extensions.
//! 2. A Bearer token decides alone, if the layer [accepts](ClerkBasicAuthLayer::accept_bearer) such tokens: the answer is
//!    403 if it is for another organization, and 401 if it is refused for another reason. A request without credentials
//!    reaches the inner service as `Anonymous` if the layer is [optional](ClerkBasicAuthLayer::optional); otherwise it is
//!    answered 401.
//! 3. More than one `Authorization` field, or a Basic token that is too long or padded wrongly, is answered 401.
//! 4. If the [selector](ClerkBasicAuthLayer::organization_by) finds no organization, the answer is 403.
//!    A layer that reads a [suffix](OrganizationSelector::identifier_suffix) of the identifier decodes the credentials
//!    first.
//! 5. If the engine holds a session for the credentials, with a token that lives long enough, the request reaches the
//!    inner service at once.
//! 6. Credentials that can't be decoded are answered 401.
//! 7. The engine exchanges the credentials at Clerk, or answers from memory that it won't. The request reaches the
//!    inner service with a [`ClerkSession`](crate::ClerkSession), or is rejected. This is also where an organization
//!    that is not on the selector's [list](OrganizationSelector::allow) is answered 403, once the password is verified.
//!
//! A rejected request receives the status of its [`RejectionKind`](crate::RejectionKind). The
//! [`Rejection`](crate::Rejection) is attached to the response's extensions on every rejection, including those from a
//! custom builder, so that layers outside can log or count the reason. Use
//! [`with_rejection_response`](ClerkBasicAuthLayer::with_rejection_response) to replace the body, and
//! [`grpc_rejections`](ClerkBasicAuthLayer::grpc_rejections) for a gRPC server, whose clients get gRPC's own statuses.
//!
//! # Deployment caveat
//!
//! HTTP Basic sends the password with every request. Put TLS in front of the server, and mark `Authorization` as
//! sensitive before any layer that logs headers. An upgraded connection (a websocket) is authenticated once, at its
//! start.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use http::header::AUTHORIZATION;
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, Rejection, RejectionKind, testing};
//!
//! async fn handle(request: Request<()>) -> Result<Response<String>, Infallible> {
//!     let session = request.extensions().get::<ClerkSession>().expect("the layer inserts one");
//!     Ok(Response::new(session.user_id().to_owned()))
//! }
//!
//! // A Clerk instance in memory. A server uses `Clerk::builder("pk_live_…").build()?`.
//! let (_fake, clerk) = testing::unlimited();
//! let service = ServiceBuilder::new()
//!     .layer(ClerkBasicAuthLayer::new(clerk).organization("acme")?)
//!     .service(service_fn(handle));
//!
//! // A member of the organization reaches the handler.
//! let jane = testing::basic("jane@example.com", "correct horse battery staple");
//! let request = Request::builder().header(AUTHORIZATION, jane).body(())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // A user who is not a member is rejected.
//! let carol = testing::basic("carol@example.com", "personal account only");
//! let request = Request::builder().header(AUTHORIZATION, carol).body(())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//!
//! // A request without credentials is challenged.
//! let response = service.oneshot(Request::new(())).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(response.headers()["www-authenticate"], r#"Basic realm="api", charset="UTF-8""#);
//! let rejection = response.extensions().get::<Rejection>().expect("the layer attaches it");
//! assert_eq!(rejection.kind(), RejectionKind::CredentialsMissing);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```

mod api_keys;
mod bearer;
mod browsers;
mod decoding;
mod future;
mod grpc;
mod identity;
#[allow(clippy::module_inception)]
mod layer;
mod organization;
mod policy;
mod problem;
mod reject;
mod selectors;
mod service;

pub use self::future::ResponseFuture;
pub use self::grpc::GrpcRejections;
pub(crate) use self::grpc::Switch as GrpcSwitch;
pub use self::identity::{IdentityField, IdentityHeaders};
pub use self::layer::ClerkBasicAuthLayer;
pub use self::organization::{OrganizationSelector, RequestOrganization};
pub use self::policy::AuthorizationHeader;
#[cfg(feature = "token-endpoint")]
pub(crate) use self::policy::{SourceFn, source_fn};
pub use self::problem::{ProblemJson, ProblemJsonWith};
#[cfg(feature = "token-endpoint")]
pub(crate) use self::reject::set_retry_after;
pub use self::reject::{EmptyBody, RejectionResponse, respond};
pub use self::service::ClerkBasicAuth;
