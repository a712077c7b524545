//! HTTP Basic in, Clerk session out:
//! `async fn(Request + Authorization: Basic) -> Result<Request + ClerkSession, Rejection>`, as a [tower] layer.
//!
//! # Overview
//!
//! Some clients can send nothing but HTTP Basic: partner systems, BI tools, `curl` and cron, git, package managers.
//! [`ClerkBasicAuthLayer`] authenticates them against [Clerk], where their users and service accounts live. It takes
//! the credentials from a request, exchanges them for a Clerk session, and inserts that session into the request's
//! extensions as a [`ClerkSession`]: user, organization, roles, and a JWT that is always fresh. The password goes to
//! Clerk about once an hour; requests in between are answered from memory.
//!
//! Three types do the work:
//!
//! - [`Clerk`] is the engine, one per Clerk instance. It signs in, caches and renews, and works without tower, too.
//!   [`Clerk::builder`] has its settings.
//! - [`ClerkBasicAuthLayer`] is the layer. It works in front of any `tower::Service<http::Request<B>>`, such as a
//!   service of axum, hyper or tonic, and any number of layers can share one engine. The module [`layer`] has its
//!   details.
//! - [`Rejection`] says why a request was rejected, in the extensions of the response.
//!
//! Behind the layer, a [`guard`] lets only sessions with a certain role, permission, feature or factor reach a route. For
//! machines that ask for a token first, the module `token_endpoint` has an OAuth 2.0 token endpoint on the same engine.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new()
//!     .route("/", get(async |session: ClerkSession| session.user_id().to_owned()))
//!     .layer(ClerkBasicAuthLayer::from_publishable_key("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")?);
//!
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without an account at Clerk, try it with `cargo run --example server`, which has a Clerk instance in memory.
//!
//! # How a request is handled
//!
//! 1. **Header.** Without Basic credentials, the answer is 401, or the request passes as [`Anonymous`] if the layer is
//!    [`optional`](ClerkBasicAuthLayer::optional). Malformed credentials are answered 401 without a call to Clerk. On a
//!    layer that [accepts Bearer tokens](ClerkBasicAuthLayer::accept_bearer), such a token decides alone.
//! 2. **Cached session.** The session is looked up by a keyed hash of the token in the header. If it is live and has a
//!    token that lives long enough, the inner service is called at once: no future is boxed, and Clerk isn't
//!    called. A token or a proof that ends soon is renewed in the background.
//! 3. **Cached refusal.** If Clerk has refused the same credentials moments ago, the answer is the same again, without
//!    a call to Clerk.
//! 4. **Failed attempts.** After too many failures with an identifier, the answer is 429, before Clerk locks the
//!    account.
//! 5. **Sign-in.** Requests with the same credentials share one sign-in. It runs in a task of its own, so a client that
//!    disconnects neither cancels nor repeats it. It first waits for a permit of the sign-in budget; part of the budget
//!    is reserved for credentials that Clerk has accepted before.
//! 6. **Token.** A token is minted for the organization and the template that the layer asks for, and verified before
//!    it is stored. Requests for the same token share one mint.
//!
//! # Two APIs
//!
//! An engine verifies passwords by one of two APIs; see [`ClerkApi`].
//!
//! - **The Frontend API** is the default. It needs only the publishable key, and verifies a password by signing in with
//!   it, as a browser would. Clerk allows an address five sign-ins in 10 s
//!   (<https://clerk.com/docs/guides/how-clerk-works/system-limits>), which limits how many users one address can
//!   carry. On instances with Device Trust, the server must be [enrolled](Clerk::enroll) once per account.
//! - **The Backend API** needs the instance's [`secret_key`](ClerkBuilder::secret_key). It verifies a password without
//!   a sign-in; a ticket opens a session once in its life (7 days by default). Some of the checks that Clerk makes at sign-ins
//!   don't apply.
//!
//! With a store (`ClerkBuilder::store`, feature `sqlite`), a restart costs no sign-ins on either API.
//!
//! Caching, renewals and revocations are the same for both. The README compares the two in a table.
//!
//! # Deployment
//!
//! - **Layers outside.** Put CORS and sensitive-header layers outside of this one, so that preflights need no
//!   credentials and logs show none. If that is not possible, use
//!   [`pass_preflight`](ClerkBasicAuthLayer::pass_preflight).
//! - **Readiness.** The layer is ready when the inner service is. A request that has to wait for Clerk returns what the
//!   inner service has reserved, so no sign-in holds a permit of a concurrency limit inside the layer.
//! - **Log.** The log is written by [`tracing`](https://docs.rs/tracing), so install a subscriber, such as
//!   `tracing_subscriber::fmt::init()`. Errors and warnings are for the operator; rejections are at info, at most one in a
//!   second for each kind, and at debug otherwise.
//! - **Upgrades.** An upgraded connection (a websocket) is authenticated once, at its start; no revocation reaches it.
//! - **Shutdown.** Call [`Clerk::shutdown`] when the server has stopped. Otherwise the sessions stay open at Clerk, for
//!   7 days by default.
//! - **Replicas.** The sign-in budget is per process. Replicas behind one address must divide it by
//!   [`sign_in_rate`](ClerkBuilder::sign_in_rate).
//! - **Changes at Clerk.** Call [`Clerk::revoke_user`], [`Clerk::expire_proofs`] and the other revocations from Clerk's
//!   webhooks, and [`Clerk::revoke_api_key`] where the program itself revokes a key. Without them, a banned user is let in
//!   for one token's life at most (60 s by default), an API key for its [`ttl`](ApiKeys::ttl) at most (5 min by default),
//!   and the old password of a user who has changed it works for [`session_ttl`](ClerkBuilder::session_ttl) at most (1 h by
//!   default).
//!
//! # Testing your own app
//!
//! The feature `testing` has a Clerk instance in memory, and an engine on it that has no rate limit to wait for; the
//! module `testing` has more.
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response, header::AUTHORIZATION};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, testing};
//!
//! let (fake, clerk) = testing::unlimited();
//! let service = ClerkBasicAuthLayer::new(clerk).organization("acme")?.layer(service_fn(async |request: Request<()>| {
//!     let session = request.extensions().get::<ClerkSession>().expect("the layer inserts one");
//!     assert!(session.has_role("org:admin") && session.has_permission("org:invoices:manage"));
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! }));
//!
//! let jane = testing::basic("jane@example.com", "correct horse battery staple");
//! let request = Request::builder().header(AUTHORIZATION, jane).body(())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//! assert_eq!(fake.live_sessions_of("jane@example.com"), 1);
//!
//! let anonymous = Request::new(());
//! assert_eq!(service.oneshot(anonymous).await?.status(), 401);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```
//!
//! # More
//!
//! The pages of [`documentation`]: a [quick start](documentation::quick_start) for each stack, a
//! [cookbook](documentation::cookbook), [tests](documentation::testing) of your own app, [deploying](documentation::deploying),
//! [metrics](documentation::metrics), [troubleshooting](documentation::troubleshooting), the
//! [security model](documentation::security), and others with one subject each.
//!
//! # Features
//!
//! | name | description | default |
//! |---|---|---|
//! | `rustls` | TLS to Clerk, with the platform's certificate verifier | yes |
//! | `axum` | sessions as extractors of axum 0.8, `IntoResponse` for [`Rejection`], and whole paths under `Router::nest` | no |
//! | `backend` | the module `backend`: a client of the Backend API's lists | no |
//! | `metrics` | counts and latencies through the `metrics` facade | no |
//! | `token-endpoint` | the module `token_endpoint`: an OAuth 2.0 token endpoint that answers with Clerk's JWTs | no |
//! | `federation` | the module `federation`: an identity provider's assertion for a Clerk session | no |
//! | `webhook` | the module `webhook`: Clerk's webhooks, verified and acted on | no |
//! | `testing` | the module `testing`: a Clerk instance in memory, from the crate `fake-clerk` | no |
//!
//! The module `testing` re-exports types of `fake-clerk`, so a minor release of `fake-clerk` may break it.
//!
//! [tower]: https://docs.rs/tower
//! [Clerk]: https://clerk.com

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod api_keys;
#[cfg(feature = "federation")]
mod assurance;
mod authorization;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "backend")]
mod backend_client;
mod bearer;
mod claims;
mod clerk_api;
mod client_token;
mod clock;
mod cluster;
mod counters;
mod credentials;
#[cfg(doc)]
pub mod documentation;
mod engine;
#[cfg(feature = "federation")]
#[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
pub mod federation;
mod flight;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
mod instance;
mod jitter;
mod jwt;
mod key;
pub mod layer;
mod limits;
mod membership;
#[cfg(any(feature = "backend", feature = "webhook"))]
mod objects;
mod organization;
mod organization_session;
mod original_uri;
mod packed;
mod provider;
mod recent;
mod rejection;
mod scope;
mod session;
mod sessions;
mod settings;
pub mod store;
mod sync;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod token;
#[cfg(feature = "token-endpoint")]
#[cfg_attr(docsrs, doc(cfg(feature = "token-endpoint")))]
pub mod token_endpoint;
pub mod transport;
#[cfg(feature = "webhook")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
pub mod webhook;

pub use access::Access;
pub use api_keys::{ApiKeys, ClerkApiKey, ClerkPrincipal};
pub use authorization::{Permission, Role};
pub use bearer::BearerTokens;
pub use claims::Claims;
pub use clock::Clock;
pub use credentials::Credentials;
pub use engine::{Clerk, ClerkBuilder, ConfigError};
#[doc(inline)]
pub use guard::Requirement;
#[doc(inline)]
pub use layer::{
    AuthorizationHeader, ClerkBasicAuth, ClerkBasicAuthLayer, OrganizationSelector, RequestOrganization,
};
pub use organization::Organization;
pub use organization_session::OrganizationSession;
pub use rejection::{BearerRefusal, Challenge, Rejection, RejectionKind};
pub use session::{Anonymous, ClerkApi, ClerkSession};

/// The Backend API's lists of users, organizations and memberships, for programs that keep a copy of them.
///
/// [`BackendClient`](backend::BackendClient) reads them. The types of the entries are those of the events in the module
/// `webhook`, so that an entry and an event are applied by the same code.
#[cfg(feature = "backend")]
#[cfg_attr(docsrs, doc(cfg(feature = "backend")))]
pub mod backend {
    pub use crate::backend_client::{
        Answer, BackendClient, BackendError, BackendErrorKind, InstanceData, ListOrder, MembershipQuery,
        OrganizationQuery, Page, UserQuery,
    };
    pub use crate::engine::BackendClientBuilder;
    pub use crate::objects::{Json, MembershipData, OrganizationData, UserData, VerifiableIdentifier};
}

/// Enrollment of this server as a known device of an account, for Clerk's Device Trust.
///
/// [`Clerk::enroll`] starts one. With the Backend API, no account needs it.
pub mod enroll {
    pub use crate::engine::{Enrollment, EnrollmentFactor};
}

/// Errors of values that are parsed: keys, addresses, credentials and claims.
///
/// An error in a setting is a [`ConfigError`], and a request that is not let in has a [`Rejection`].
pub mod error {
    pub use crate::authorization::RequirementError;
    pub use crate::claims::ClaimsError;
    pub use crate::clerk_api::bapi::SecretKeyError;
    pub use crate::credentials::{MalformedCredentials, MalformedReason};
    pub use crate::instance::InstanceError;
}

/// Findings about the settings of a Clerk instance.
///
/// [`Clerk::preflight`] returns them. Log them at start, so that a wrong setting shows before the first sign-in fails.
pub mod preflight {
    pub use crate::engine::{Finding, FindingKind};
}

/// Counts of an engine, for logs, health checks and metrics.
///
/// [`Clerk::stats`] returns them.
pub mod stats {
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub use crate::cluster::ReplicaStats;
    pub use crate::counters::{Outcome, UpstreamCalls};
    #[cfg(feature = "webhook")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
    pub use crate::counters::{WebhookDeliveries, WebhookOutcome};
    pub use crate::engine::Stats;
    pub use crate::limits::CircuitState;
}

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
