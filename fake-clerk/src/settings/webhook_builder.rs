//! Builder methods for webhooks.

use crate::settings::builder::FakeClerkBuilder;
use crate::webhooks::WebhookEndpoint;

/// Webhooks.
impl FakeClerkBuilder {
    /// Registers a webhook endpoint.
    ///
    /// It isn't told about the demo accounts, which are there from the start.
    /// [`FakeClerk::add_webhook`](crate::FakeClerk::add_webhook) registers one with a running instance.
    pub fn webhook(mut self, endpoint: WebhookEndpoint) -> Self {
        self.webhooks.push(endpoint);
        self
    }

    /// Sets whether a sign-in sends `user.updated`, since it changes `last_sign_in_at`. On by default.
    ///
    /// Clerk doesn't document it, so a program should expect both.
    pub fn sign_in_updates_user(mut self, on: bool) -> Self {
        self.sign_in_updates_user = on;
        self
    }

    /// Sets whether the `timestamp` of events is in seconds. Off by default: it is in milliseconds, as Clerk's guides
    /// show it.
    ///
    /// The examples of Clerk's OpenAPI description are in seconds, so a program should take both.
    pub fn webhook_seconds(mut self, on: bool) -> Self {
        self.webhook_seconds = on;
        self
    }
}
