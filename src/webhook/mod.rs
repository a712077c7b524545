//! Clerk's webhooks: what changes at Clerk takes effect here a moment later.
//!
//! [`ClerkWebhookService`] is what Clerk sends its events to. It verifies them, lets the engine act at once, and hands them
//! to an [`EventSink`] of the application if there is one.
//!
//! Without webhooks, a banned user or a removed member is let in for the life of a token (60 s by default), an old password
//! works until its proof ends ([`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default), and a lifted ban may be
//! refused for up to an hour.
//!
//! | event | what the engine does | the next request |
//! |---|---|---|
//! | `user.created` | forgets refusals of the user's name and verified addresses | is asked of Clerk |
//! | `user.updated`: banned or deprovisioned | [`revoke_user`](crate::Clerk::revoke_user) | is refused |
//! | `user.updated`: a newer password or second factor, or no password any more | [`expire_proofs`](crate::Clerk::expire_proofs) | proves itself again |
//! | `user.updated`: neither banned nor locked | forgets refusals because of a ban or a lock, and no others | is asked of Clerk |
//! | `user.updated`: locked | nothing, as an attacker can cause it | passes as before |
//! | `user.deleted` | [`revoke_user`](crate::Clerk::revoke_user) | is refused |
//! | `session.ended`, `session.removed`, `session.revoked` | [`drop_session`](crate::Clerk::drop_session) | signs in again |
//! | `session.pending` | [`drop_session_tokens`](crate::Clerk::drop_session_tokens) | mints a token |
//! | `organizationMembership.created` | [`forgive_organizations`](crate::Clerk::forgive_organizations) | is asked of Clerk |
//! | `organizationMembership.updated`, `organizationMembership.deleted` | [`revoke_membership`](crate::Clerk::revoke_membership) | mints a token |
//! | `organization.updated` | [`revoke_renamed_organization`](crate::Clerk::revoke_renamed_organization) | mints a token, if the slug has changed |
//! | `organization.deleted` | [`revoke_organization`](crate::Clerk::revoke_organization) | mints a token |
//! | `role.updated`, `role.deleted`, `permission.updated`, `permission.deleted` | [`drop_long_lived_tokens`](crate::Clerk::drop_long_lived_tokens) | mints a token, if it was one that lives over a minute |
//! | all others | nothing | passes as before |
//!
//! Events come in any order and more than once. The engine never lets a user in because of one: it asks Clerk again. So an
//! event that comes late, twice or out of order costs a call at most.
//!
//! **Only the process that receives an event acts on it.** Clerk sends each event once to an endpoint, so behind a load
//! balancer one replica gets it, and the others follow when tokens and proofs expire. [The page on
//! webhooks](crate::documentation::webhooks) has more, the set-up in Clerk's dashboard and the rotation of secrets included.
//!
//! # Example
//!
//! The service is mounted outside of the layer, since Clerk sends no Basic credentials.
//!
//! ```
//! # #[cfg(all(feature = "testing", feature = "axum"))]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::body::Body;
//! use axum::{Router, routing::get};
//! use http::Request;
//! use tower::ServiceExt;
//! use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
//! use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, testing};
//!
//! let (_fake, clerk) = testing::unlimited();
//! // A server reads `CLERK_WEBHOOK_SIGNING_SECRET` by `WebhookSecrets::from_env()?`.
//! let secrets = WebhookSecrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! let app: Router = Router::new()
//!     .route("/me", get(async |session: ClerkSession| session.user_id().to_owned()))
//!     .layer(ClerkBasicAuthLayer::new(clerk.clone()))
//!     // Routes that are added after the layer are outside of it.
//!     .route_service("/webhooks/clerk", ClerkWebhookService::new(clerk, secrets));
//!
//! let unsigned = Request::post("/webhooks/clerk").body(Body::empty())?;
//! assert_eq!(app.oneshot(unsigned).await?.status(), 400);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "testing", feature = "axum")))] fn main() {}
//! ```
//!
//! In a bare tower stack, route the path to the service before the layer, or let the layer pass it:
//! `layer.exempt(|parts| parts.uri.path() == "/webhooks/clerk")`.

mod answer;
mod body;
mod data;
mod deliveries;
mod effects;
mod error;
mod event;
mod headers;
mod secret;
mod service;
mod shared;
mod sink;
mod verifier;
mod wire;

pub use self::data::{EventData, SessionData};
pub use self::error::{WebhookError, WebhookErrorKind};
pub use self::event::Event;
pub use self::secret::{WebhookSecretError, WebhookSecrets};
pub use self::service::{ClerkWebhookService, ResponseFuture};
pub use self::sink::{EventSink, SinkError, SinkFuture};
pub use self::verifier::WebhookVerifier;
#[doc(inline)]
pub use crate::objects::{Json, MembershipData, OrganizationData, UserData, VerifiableIdentifier};
