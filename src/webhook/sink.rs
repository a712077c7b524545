//! The application's part in an event.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;

use super::event::Event;

/// The error of an [`EventSink`]. It is logged, so it must show no secret.
pub type SinkError = Box<dyn StdError + Send + Sync>;

/// The future that [`EventSink::handle`] returns.
pub type SinkFuture<'a> = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'a>>;

/// Receives verified events, to keep an application's own copy of Clerk's users in step, for example.
///
/// [`ClerkWebhookService::sink`](super::ClerkWebhookService::sink) takes one. It is called after the engine has acted, with
/// events of all types, known or not. An `async` closure that takes an [`Event`] is a sink.
///
/// # Requirements
///
/// - Events come in any order, and more than once. Write by the id of the object, with "insert or update", and let an
///   older `updated_at` never overwrite a newer one.
/// - Return `Ok` only when the event is safely stored. After an error, Clerk's sender tries again, for about 28 hours.
/// - Be done within 15 s. The sender waits no longer; the future is then dropped, and the event comes again.
/// - After `Ok`, a delivery with the same id is not handed to the sink for 48 h, in this process. Another replica doesn't
///   know that, and a restart forgets it.
///
/// ```
/// use tower_clerk::webhook::{Event, EventSink, SinkFuture};
///
/// struct Printer;
///
/// impl EventSink for Printer {
///     fn handle(&self, event: Event) -> SinkFuture<'_> {
///         Box::pin(async move {
///             println!("{} at {:?}", event.event_type(), event.time());
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Handles one event.
    ///
    /// # Errors
    ///
    /// The future returns an error if the event must come again.
    fn handle(&self, event: Event) -> SinkFuture<'_>;
}

impl<F, Fut> EventSink for F
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), SinkError>> + Send + 'static,
{
    fn handle(&self, event: Event) -> SinkFuture<'_> {
        Box::pin(self(event))
    }
}

// The service holds an `Arc<dyn EventSink>`.
fn _object_safe(_: &dyn EventSink) {}
