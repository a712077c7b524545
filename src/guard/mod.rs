//! Guards: middleware behind the layer that lets only certain sessions in.
//!
//! [`ClerkBasicAuthLayer`](crate::ClerkBasicAuthLayer) says who a user is; a guard says whether that user may do this.
//! [`require`](crate::ClerkBasicAuthLayer::require) makes a [`RequireLayer`] from a layer and a [`Requirement`]: roles,
//! permissions, features, plans, a second factor, a recent verification. The semantics are those of Clerk's
//! `auth.has({ … })`, and the compiler or the start of the program finds a misspelt name:
//!
//! | Clerk | [`Requirement`] |
//! |---|---|
//! | `has({ role: 'org:admin' })` | [`role(ADMIN)`](Requirement::role) |
//! | `has({ permission: 'org:invoices:read' })` | [`permission(READ_INVOICES)`](Requirement::permission) |
//! | `has({ feature: 'org:reports' })` | [`feature("org:reports")`](Requirement::feature) |
//! | `has({ plan: 'user:pro' })` | [`plan("user:pro")`](Requirement::plan) |
//! | `has({ reverification: 'strict' })` | [`reverification(Reverification::Strict)`](Requirement::reverification) |
//! | `has({ … }) \|\| has({ … })` | [`Requirement::any_of([…])`](Requirement::any_of) |
//! | `orgId` | [`organization()`](Requirement::organization) |
//! | `!actor` | [`deny_impersonation()`](Requirement::deny_impersonation) |
//! | | [`second_factor`](Requirement::second_factor), [`fresh_proof`](Requirement::fresh_proof) |
//!
//! A guard answers 403 where `auth.protect()` of Clerk's SDK for Next.js answers 404.
//!
//! A request is answered in this order:
//!
//! 1. A session that meets the requirement reaches the inner service. Another one is answered 403
//!    [`Forbidden`](crate::RejectionKind::Forbidden). The client isn't told what is missing, unless it is something
//!    that the user can do now: verify a factor.
//! 2. A request that the layer let pass as [`Anonymous`](crate::Anonymous) is answered 401
//!    [`CredentialsMissing`](crate::RejectionKind::CredentialsMissing), with the layer's challenge. This includes
//!    requests that are [exempt](crate::ClerkBasicAuthLayer::exempt) and
//!    [preflights](crate::ClerkBasicAuthLayer::pass_preflight).
//! 3. A request with neither has not been through the layer, so the guard is in the wrong place. It is answered 500
//!    [`Misconfigured`](crate::RejectionKind::Misconfigured), and the log says what to do, once a minute.
//!
//! Rejections have the body that the layer's rejections have, and a [`Rejection`](crate::Rejection) in their
//! extensions. [`Stats::requests`](crate::stats::Stats::requests) counts such a request by the layer's outcome.
//!
//! A guard judges the claims of the session's token. A role that was taken away at Clerk counts until the token is
//! renewed: for one token's life at most, 60 s by default. Tokens of a [JWT
//! template](crate::ClerkBasicAuthLayer::template) have no claims but the template's, so behind such a layer a
//! requirement may fail for every user.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::body::Body;
//! use axum::{Router, routing::get};
//! use http::{Request, header::AUTHORIZATION};
//! use tower::ServiceExt;
//! use tower_clerk::{ClerkBasicAuthLayer, Permission, Requirement, Role, testing};
//!
//! const ADMIN: Role = Role::new("org:admin");
//! const READ_INVOICES: Permission = Permission::new("org:invoices:read");
//!
//! let (_fake, clerk) = testing::unlimited();
//! let layer = ClerkBasicAuthLayer::new(clerk).organization("acme")?;
//! let app = Router::new()
//!     .route("/admin", get(async || "settings").layer(layer.require(Requirement::new().role(ADMIN))?))
//!     .route("/invoices", get(async || "[]").layer(layer.require(Requirement::new().permission(READ_INVOICES))?))
//!     .layer(layer);
//!
//! let get = |path: &str, user: &str, password: &str| {
//!     let request = Request::get(path).header(AUTHORIZATION, testing::basic(user, password)).body(Body::empty());
//!     app.clone().oneshot(request.expect("a request"))
//! };
//! // Jane is an administrator of the organization, Bob a member.
//! assert_eq!(get("/admin", "jane", "correct horse battery staple").await?.status(), 200);
//! assert_eq!(get("/admin", "bob", "hunter2hunter2").await?.status(), 403);
//! assert_eq!(get("/invoices", "bob", "hunter2hunter2").await?.status(), 200);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```

mod dimension;
mod future;
mod layer;
mod requirement;
mod response;
mod service;

pub use self::future::ResponseFuture;
pub use self::layer::RequireLayer;
pub use self::requirement::{Requirement, SecondFactor};
pub use self::response::ReverificationJson;
pub use self::service::Require;
pub use crate::authorization::{Reverification, ReverificationLevel};
