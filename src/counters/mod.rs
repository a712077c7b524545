//! Counts requests and calls to Clerk (rule O2).

mod calls;
mod malformed;
mod operation;
mod outcomes;
mod stripes;
#[cfg(feature = "webhook")]
mod webhooks;

pub(crate) use self::calls::Calls;
pub use self::calls::UpstreamCalls;
pub(crate) use self::malformed::MalformedCounts;
pub(crate) use self::operation::{CallResult, Operation};
pub use self::outcomes::Outcome;
pub(crate) use self::outcomes::Outcomes;
#[cfg(feature = "webhook")]
pub(crate) use self::webhooks::WebhookCounts;
#[cfg(feature = "webhook")]
pub use self::webhooks::{WebhookDeliveries, WebhookOutcome};
