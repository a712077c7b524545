//! The mirror as the webhook service's sink.

use tower_clerk::webhook::{Event, EventSink, SinkFuture};

use super::Mirror;
use super::event::{Message, Outcome};
use crate::error::MirrorError;
use crate::time::millis;

/// Each event is applied in a transaction of its own, once.
///
/// An error of the sink, which the service answers 503, means that the database is away: Clerk's sender tries again for
/// more than a day. An event that can never be applied is [quarantined](Mirror::quarantined) and counts as handled.
impl EventSink for Mirror {
    fn handle(&self, event: Event) -> SinkFuture<'_> {
        Box::pin(async move {
            let message = Message {
                id: event.id(),
                event_type: event.event_type(),
                at: event.time().map_or_else(|| self.now(), millis),
                instance: event.instance_id(),
                json: event.json(),
            };
            self.receive(message).await.map(drop).map_err(Into::into)
        })
    }
}

impl Mirror {
    /// Applies an event and counts it.
    pub(crate) async fn receive(&self, message: Message<'_>) -> Result<Outcome, MirrorError> {
        let outcome = self.apply_event(message).await;
        crate::metrics::count(message.event_type, outcome.as_ref().ok().copied());
        tracing::debug!(
            target: "tower_clerk_sync",
            id = message.id, event_type = message.event_type, ?outcome, "an event came to the mirror"
        );
        outcome
    }
}
