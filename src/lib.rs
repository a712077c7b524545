//! HTTP Basic in, Clerk session out:
//! `async fn(Request + Authorization: Basic) -> Result<Request + ClerkSession, Rejection>` as a [tower] layer.
//!
//! # Overview
//!
//! Some clients can send nothing but HTTP Basic. [`ClerkBasicAuthLayer`] lets the people and service accounts behind them
//! live in [Clerk]: it takes the credentials of a request, exchanges them for a Clerk session through Clerk's Frontend
//! API (or, with the instance's secret key, its Backend API), keeps that session and its short-lived JWT fresh, and hands
//! both on as a [`ClerkSession`] in the request's extensions. It works in front of any
//! `tower::Service<http::Request<B>>`, and [`Clerk`], the engine under it, without tower.
//!
//! ```no_run
//! use axum::{Extension, Router, routing::get};
//! use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new()
//!     .route("/", get(|Extension(session): Extension<ClerkSession>| async move { session.user_id().to_owned() }))
//!     .layer(ClerkBasicAuthLayer::from_publishable_key("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")?);
//!
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a request meets
//!
//! 1. **The header.** None, or another scheme: 401, or passed on as [`Anonymous`] where the layer is
//!    [`optional`](ClerkBasicAuthLayer::optional). Malformed: 401, before any look-up.
//! 2. **The session**, by a keyed hash of the token as it stands in the header. Live, with a good JWT: the request goes on
//!    at once. No lock is taken, nothing is boxed, nobody is asked. What is about to run out is renewed in the background.
//! 3. **A refusal** of a moment ago: the same answer again, without asking Clerk.
//! 4. **Too many failures** of this identifier: 429, before Clerk locks the account.
//! 5. **The sign-in**, one per credential however many requests wait for it, in a task of its own: a client that hangs up
//!    neither cancels nor repeats it. It waits for its turn in the sign-in budget; credentials that Clerk has accepted
//!    before go first.
//! 6. **The token** for the organization and template that the layer wants, one mint at a time each, verified before it is
//!    stored.
//!
//! # Two APIs
//!
//! [`ClerkApi::Frontend`] proves a password by signing in with it, as a browser would. It takes no secret; each proof is a
//! sign-in, of which Clerk allows an address five in ten seconds; and on instances with Device Trust this server must be
//! [enrolled](Clerk::enroll) once per account. [`ClerkApi::Backend`] takes the instance's
//! [`secret_key`](ClerkBuilder::secret_key): passwords are verified without a sign-in, a ticket opens a session once in its
//! life, and with a [`session_store`](ClerkBuilder::session_store) a restart costs no sign-ins. All else is the same: budgets,
//! flights, refusals, renewals, revocations. The README has both in a table, with what the second one doesn't enforce.
//!
//! # Deployment
//!
//! - CORS and sensitive-header layers go outside of this one, so that preflights need no credentials and logs don't show
//!   them; [`pass_preflight`](ClerkBasicAuthLayer::pass_preflight) is the second best.
//! - Readiness is the inner service's alone. A request that must wait for Clerk gives back what its service had reserved, so
//!   a concurrency limit inside the layer is never held up by a sign-in.
//! - An upgraded connection (a websocket) is authenticated once, at its start; no revocation reaches it.
//! - Call [`Clerk::shutdown`] when the server has stopped, or Clerk keeps the sessions for 7 days.
//! - The budget for sign-ins is per process. Replicas behind one address divide it:
//!   [`sign_in_rate`](ClerkBuilder::sign_in_rate).
//!
//! # Layout
//!
//! `layer` and `testing` (what a program touches) → `engine` (what happens in which order) → `provider` (what the Frontend
//! and the Backend API differ in) → `sessions` (what this process holds), `kept` (what outlives it) → `clerk_api` (how
//! Clerk's APIs are called), `jwt` → `limits` (queues, failures, circuits) → values. Imports run in this direction alone, and
//! a test reads them. `testing` re-exports `fake-clerk` and implements [`Transport`](transport::Transport) for it; that crate shares no types with
//! this one.
//!
//! # Testing your own app
//!
//! With the feature `testing`, a Clerk instance in memory, and an engine on it that makes no test wait
//! (the module `testing` has more):
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
//!     let session = request.extensions().get::<ClerkSession>().expect("the layer puts one there");
//!     assert!(session.has_role("org:admin") && session.has_permission("org:invoices:manage"));
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! }));
//!
//! let jane = testing::basic("jane@example.com", "correct horse battery staple");
//! let good = Request::builder().header(AUTHORIZATION, jane).body(())?;
//! assert_eq!(service.clone().oneshot(good).await?.status(), 200);
//! assert_eq!(fake.live_sessions_of("jane@example.com"), 1);
//!
//! let none = Request::new(());
//! assert_eq!(service.oneshot(none).await?.status(), 401);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```
//!
//! # Features
//!
//! | name | description | default |
//! |---|---|---|
//! | `rustls` | TLS to Clerk, with the platform's certificate verifier | yes |
//! | `metrics` | counts and latencies through the `metrics` facade | no |
//! | `testing` | `testing`: a Clerk instance in memory, from the crate `fake-clerk` | no |
//!
//! `testing` follows `fake-clerk`, whose types it exports; minor releases of `fake-clerk` may break it.
//!
//! [tower]: https://docs.rs/tower
//! [Clerk]: https://clerk.com

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod claims;
mod clerk_api;
mod client_token;
mod clock;
mod counters;
mod credentials;
mod engine;
mod flight;
mod instance;
mod jitter;
mod jwt;
mod key;
pub mod layer;
mod limits;
mod membership;
mod organization;
mod packed;
mod provider;
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
pub mod transport;

pub use access::Access;
pub use claims::Claims;
pub use clock::Clock;
pub use credentials::Credentials;
pub use engine::{Clerk, ClerkBuilder, ConfigError};
pub use layer::{AuthorizationHeader, ClerkBasicAuth, ClerkBasicAuthLayer, RequestOrganization};
pub use organization::Organization;
pub use rejection::{Rejection, RejectionKind};
pub use session::{Anonymous, ClerkApi, ClerkSession};

/// Making this server a known device for an account, for Clerk's Device Trust: see [`Clerk::enroll`].
pub mod enroll {
    pub use crate::engine::{Enrollment, EnrollmentFactor};
}

/// Errors of values that are parsed: keys, addresses, credentials, claims.
pub mod error {
    pub use crate::claims::ClaimsError;
    pub use crate::clerk_api::bapi::SecretKeyError;
    pub use crate::credentials::{MalformedCredentials, MalformedReason};
    pub use crate::instance::InstanceError;
}

/// Findings about an instance's settings: see [`Clerk::preflight`].
pub mod preflight {
    pub use crate::engine::{Finding, FindingKind};
}

/// Counts of an engine: see [`Clerk::stats`].
pub mod stats {
    pub use crate::counters::{Outcome, UpstreamCalls};
    pub use crate::engine::Stats;
    pub use crate::limits::CircuitState;
}

/// The examples of the README are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
