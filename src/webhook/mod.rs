//! Clerk's webhooks: what changes at Clerk takes effect here a moment later.
//!
//! [`ClerkWebhookService`] is what Clerk sends its events to. It verifies them, lets the engine act at once, and hands them
//! to an [`EventSink`] of the application if there is one.
//!
//! Without webhooks, a banned user or a removed member is let in for the life of a token (60 s by default), an old password
//! works until its proof ends ([`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default), and a lifted ban may be
//! refused for up to an hour.

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
mod sink;
mod verifier;
mod wire;

pub use self::data::{
    EventData, MembershipData, OrganizationData, SessionData, UserData, VerifiableIdentifier,
};
pub use self::error::{WebhookError, WebhookErrorKind};
pub use self::event::Event;
pub use self::secret::{WebhookSecretError, WebhookSecrets};
pub use self::service::{ClerkWebhookService, ResponseFuture};
pub use self::sink::{EventSink, SinkError, SinkFuture};
pub use self::verifier::WebhookVerifier;
