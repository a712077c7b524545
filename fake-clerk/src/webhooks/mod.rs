//! Webhooks, as Svix delivers them for Clerk: endpoints, signatures, attempts and retries.
//!
//! Nothing here knows what the events say.

mod answer;
mod attempt;
mod courier;
mod delivery;
mod endpoint;
#[cfg(feature = "server")]
mod environment;
mod fault;
mod mailbox;
pub(crate) mod random;
mod secret;
#[cfg(feature = "server")]
mod socket;

pub(crate) use crate::webhooks::courier::Webhooks;
pub use crate::webhooks::delivery::{DeliveryStatus, WebhookAttempt, WebhookDelivery};
pub use crate::webhooks::endpoint::{WebhookEndpoint, WebhookHeaders};
pub use crate::webhooks::fault::WebhookFault;
pub use crate::webhooks::secret::{InvalidWebhook, WebhookSecret};
