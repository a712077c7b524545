//! The service that Clerk sends its events to (rules W2-W4).

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::answer::Answer;
use super::body::Room;
use super::deliveries::{Begun, Deliveries};
use super::event::Event;
use super::secret::WebhookSecrets;
use super::shared::Shared;
use super::sink::EventSink;
use super::verifier;
use crate::clock::Clock;
use crate::counters::WebhookDeliveries;
use crate::engine::Clerk;

/// The time for the sink. Clerk's sender doesn't wait longer (<https://docs.svix.com/retries>).
const SINK_TIME: Duration = Duration::from_secs(15);

/// Receives Clerk's webhooks: verifies them, lets the engine act at once, and hands them to the application.
///
/// It is a `tower::Service` for any request body, whose answer is a `Response<String>`. Mount it at a path of its own,
/// **outside of the layer**: Clerk sends no Basic credentials, and the signature takes their place. The
/// [module](super) has an example, and says what the engine does with which event.
///
/// | answer | for |
/// |---|---|
/// | 204 | an event that was handled, is of another type, or was handled before |
/// | 400 | missing or malformed header fields, a time more than 5 min off, a wrong signature, a signed body that is no event |
/// | 405 | another method than POST |
/// | 413 | a body of more than 1 MiB |
/// | 503 | a sink that failed or took more than 15 s; a body that took more than 10 s; more than 64 MiB of bodies at once; a revocation that the other replicas can't be told of, with a `RedisStore`. Clerk's sender tries again |
///
/// The clones of a service share these limits, and the ids of events that were handled.
///
/// Times are compared with Clerk's time as the engine knows it: the machine's clock, corrected by Clerk's answers. A service
/// [without an engine](Self::without_engine) compares them with the machine's.
#[derive(Clone)]
pub struct ClerkWebhookService {
    shared: Shared,
    clock: Option<Clock>,
    secrets: WebhookSecrets,
    sink: Option<Arc<dyn EventSink>>,
    bodies: Arc<Room>,
    deliveries: Arc<Deliveries>,
}

impl ClerkWebhookService {
    /// A service for the endpoint with these secrets, whose events concern this engine.
    #[must_use]
    pub fn new(clerk: Clerk, secrets: WebhookSecrets) -> Self {
        Self::with(Shared::Engine(clerk), secrets)
    }

    /// A service for the endpoint with these secrets in a program that signs nobody in, and has only a
    /// [`sink`](Self::sink) for events.
    ///
    /// ```
    /// use tower_clerk::webhook::{ClerkWebhookService, Event, WebhookSecrets};
    ///
    /// # fn example(secrets: WebhookSecrets) {
    /// let service = ClerkWebhookService::without_engine(secrets).sink(async |event: Event| {
    ///     println!("{}", event.event_type());
    ///     Ok(())
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn without_engine(secrets: WebhookSecrets) -> Self {
        Self::with(Shared::Own(Arc::default()), secrets)
    }

    fn with(shared: Shared, secrets: WebhookSecrets) -> Self {
        let (bodies, deliveries) = (Arc::default(), Arc::default());
        Self { shared, clock: None, secrets, sink: None, bodies, deliveries }
    }

    /// Compares the times of deliveries with this clock, in a test for example.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The number of deliveries by the type of their event and their outcome: of this service, or of all services of its
    /// engine as in [`Stats::webhooks`](crate::stats::Stats::webhooks).
    #[must_use]
    pub fn counts(&self) -> Box<[WebhookDeliveries]> {
        self.shared.counts()
    }

    /// Hands each verified event to this sink as well, after the engine has acted.
    ///
    /// An error of the sink is answered 503, so that the event comes again.
    ///
    /// ```no_run
    /// use tower_clerk::Clerk;
    /// use tower_clerk::webhook::{ClerkWebhookService, Event, WebhookSecrets};
    ///
    /// # fn example(clerk: Clerk, secrets: WebhookSecrets) {
    /// let service = ClerkWebhookService::new(clerk, secrets).sink(async |event: Event| {
    ///     println!("{}", event.event_type());
    ///     Ok(())
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn sink(mut self, sink: impl EventSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    async fn answer<B: Body>(self, request: Request<B>) -> Response<String> {
        let mut event = None;
        let answer = self.deliver(request, &mut event).await.unwrap_or_else(|answer| answer);
        let outcome = answer.outcome();
        self.shared.count(event.as_ref().map(Event::event_type), outcome);
        self.log(&answer, event.as_ref());
        answer.response()
    }

    /// Handles a delivery, and returns its event if the signature is right.
    async fn deliver<B: Body>(
        &self,
        request: Request<B>,
        verified: &mut Option<Event>,
    ) -> Result<Answer, Answer> {
        if request.method() != Method::POST {
            return Err(Answer::Method);
        }
        let (parts, body) = request.into_parts();
        // Before the body, so that most of what isn't Clerk's is answered at once.
        let time = self.clock.map_or_else(|| self.shared.time(), |clock| clock.wall());
        let signed = verifier::signed_now(&parts.headers, time)?;
        let (body, room) = self.bodies.read(body).await?;
        verifier::check(&self.secrets, &signed, &body)?;
        let event = verified.insert(Event::read(signed.id, body)?).clone();
        // The sinks have a bound of their own, so that slow ones don't keep events from the engine.
        drop(room);
        let begun = self.deliveries.begin(signed.id, Instant::now());
        if let Begun::Done = begun {
            return Ok(Answer::Duplicate);
        }
        // First, and again with each attempt: the engine is right even if the sink never is.
        let delivered = self.shared.apply(&event);
        let Begun::New(delivery) = begun else { return Err(Answer::Deferred) };
        self.hand_on(event).await?;
        // Last, so that a store that is away keeps no event from the sink.
        if !delivered.await {
            return Err(Answer::Deferred);
        }
        delivery.done(Instant::now());
        Ok(Answer::Done)
    }

    async fn hand_on(&self, event: Event) -> Result<(), Answer> {
        let Some(sink) = &self.sink else { return Ok(()) };
        let (id, event_type) = (event.id().to_owned(), event.event_type().to_owned());
        let error = match tokio::time::timeout(SINK_TIME, sink.handle(event)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        if self.shared.is_warning_due("webhook_sink") {
            tracing::warn!(
                target: "tower_clerk::webhook",
                id, event_type, %error, "the sink of webhook events failed, so the event will come again"
            );
        } else {
            tracing::debug!(target: "tower_clerk::webhook", id, event_type, %error, "the sink failed");
        }
        Err(Answer::Deferred)
    }

    /// One event for each delivery, at debug, since a storm of webhooks must not become one of log lines. A refusal, which may
    /// mean that the secret is wrong, is a warning once a minute for each outcome.
    fn log(&self, answer: &Answer, event: Option<&Event>) {
        let (id, event_type) = (event.map(Event::id), event.map(Event::event_type));
        let outcome = answer.outcome().name();
        match answer {
            Answer::Done | Answer::Duplicate | Answer::Deferred => {
                tracing::debug!(target: "tower_clerk::webhook", id, event_type, outcome, "a webhook arrived");
            }
            Answer::Refused(_) | Answer::Method | Answer::TooLarge | Answer::Unread => {
                let reason = answer.reason();
                if self.shared.is_warning_due(&["webhook_", outcome].concat()) {
                    tracing::warn!(target: "tower_clerk::webhook", outcome, reason, "a webhook was refused");
                } else {
                    tracing::debug!(target: "tower_clerk::webhook", outcome, reason, "a webhook was refused");
                }
            }
        }
    }
}

impl<B> Service<Request<B>> for ClerkWebhookService
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = ResponseFuture;

    /// Always ready: what there is no room for is answered 503.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture(Box::pin(self.clone().answer(request)))
    }
}

impl fmt::Debug for ClerkWebhookService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkWebhookService")
            .field("secrets", &self.secrets)
            .field("has_sink", &self.sink.is_some())
            .finish_non_exhaustive()
    }
}

/// Response future of [`ClerkWebhookService`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<String>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
