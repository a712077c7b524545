//! Faults of webhooks.

use std::time::Duration;

/// A fault of the delivery of an event, for [`FakeClerk::script_webhook`](crate::FakeClerk::script_webhook).
///
/// Each of them happens on Clerk: delivery is neither guaranteed nor in order, and an event can come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookFault {
    /// The event is never sent.
    Drop,
    /// The first attempt is made after this time.
    Delay(Duration),
    /// The event is sent twice at the same time, under one id.
    Duplicate,
}
