//! A Clerk instance in memory, to test your own app with.
//!
//! [`FakeClerk`] is the stand-in of the crate [`fake_clerk`], whose docs state its limits and list its [demo
//! accounts](fake_clerk#demo-accounts). Here it implements [`Transport`], so an engine calls it in process: a test
//! needs neither a Clerk account nor a network.
//!
//! # Tests without rate limits
//!
//! Clerk allows an address five sign-ins in 10 s. The stand-in enforces that limit and the engine stays below it, so
//! the sixth sign-in of a test would wait for 10 s. [`unlimited`] returns a stand-in and an engine without either
//! limit. [`unlimited_builder`] does the same for a stand-in that you have configured, and lets you configure the
//! engine, too. [`basic`] returns the header value.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_clerk::ClerkBasicAuthLayer;
//! use tower_clerk::testing::{self, FakeUser};
//!
//! let (fake, clerk) = testing::unlimited();
//! let service = ClerkBasicAuthLayer::new(clerk).layer(service_fn(async |_: http::Request<()>| {
//!     Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
//! }));
//!
//! fake.add_user(FakeUser::new("ada@example.com").password("difference engine"));
//! let request = http::Request::builder()
//!     .header("authorization", testing::basic("ada@example.com", "difference engine"))
//!     .body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), 200);
//! assert_eq!(fake.live_sessions_of("ada@example.com"), 1);
//! # Ok(()) }
//! ```
//!
//! # Bearer tokens
//!
//! For a layer that [accepts Bearer tokens](crate::ClerkBasicAuthLayer::accept_bearer), the stand-in signs what a browser
//! would send:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_clerk::{BearerTokens, ClerkBasicAuthLayer, testing};
//!
//! let (fake, clerk) = testing::unlimited();
//! let tokens = BearerTokens::new().authorized_parties(["https://app.example.com"]);
//! let layer = ClerkBasicAuthLayer::new(clerk).organization("acme")?.accept_bearer(tokens)?;
//! let service = layer.layer(service_fn(async |_: http::Request<()>| {
//!     Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
//! }));
//!
//! let session = fake.open_session("jane@example.com");
//! let jwt = fake.token(&session).organization("acme").origin("https://app.example.com").sign();
//! let request = http::Request::builder().header("authorization", format!("Bearer {jwt}")).body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # Tests with rate limits
//!
//! To test how your app behaves under the limits, build both by hand:
//! `Clerk::builder(fake.fapi_url()).transport(fake.clone())`. Under `tokio::time::pause`, all waits elapse at once.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};

pub use fake_clerk::{
    AssertionFlaw, ConnectionFault, DeliveryStatus, Endpoint, FakeApiKey, FakeAssertion, FakeClerk,
    FakeClerkBuilder, FakeClerkServer, FakeClock, FakeEnterpriseAccount, FakeExternalAccount, FakeIssuer,
    FakeIssuerServer, FakeOrganization, FakeSession, FakeToken, FakeUser, Fault, GoneSession, Hold,
    InvalidApiKey, InvalidWebhook, IssuerDocument, IssuerFault, ReceivedRequest, RetryAfter, SessionStatus,
    SigningAlgorithm, TokenFlaw, TokenVersion, VerificationStatus, WebhookAttempt, WebhookDelivery,
    WebhookEndpoint, WebhookFault, WebhookHeaders, WebhookSecret,
};

use crate::transport::{Transport, TransportError, TransportFuture, max_body};
use crate::{Clerk, ClerkBuilder};

pub use crate::clock::Clock;

impl Transport for FakeClerk {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let most = max_body(&request);
            answered(self.handle(request).await, most)
        })
    }
}

impl Transport for FakeIssuer {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let most = max_body(&request);
            answered(self.handle(request).await, most)
        })
    }
}

fn answered(
    answer: Result<Response<Bytes>, ConnectionFault>,
    most: usize,
) -> Result<Response<Bytes>, TransportError> {
    match answer {
        Ok(response) if response.body().len() > most => Err(TransportError::too_large()),
        Ok(response) => Ok(response),
        Err(fault @ ConnectionFault::Refused) => Err(TransportError::connect(fault)),
        Err(fault) => Err(TransportError::broken(fault)),
    }
}

impl From<Clock> for FakeClock {
    /// Creates a clock for the stand-in that tells the same time.
    ///
    /// Pass it to [`FakeClerkBuilder::clock`].
    fn from(clock: Clock) -> Self {
        let now = clock.now();
        Self::anchored(clock.wall_at(now), now)
    }
}

/// Creates a stand-in with its demo accounts, and an engine that uses it, both without a limit of sign-ins.
///
/// This is the start of most tests of an app. Failed attempts still count: after four wrong passwords a user is answered
/// 429. Use another user or a new engine then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_clerk::{Access, Credentials, testing};
///
/// let (fake, clerk) = testing::unlimited();
/// let jane = Credentials::new("jane", "correct horse battery staple")?;
/// let session = clerk.authenticate(&jane, &Access::new().organization("acme")).await?;
/// assert!(session.has_role("org:admin"));
/// assert_eq!(fake.live_sessions(), 1);
/// # Ok(()) }
/// ```
#[must_use]
pub fn unlimited() -> (FakeClerk, Clerk) {
    let fake = FakeClerk::new();
    let clerk = unlimited_builder(&fake).build().expect("the stand-in's address and the defaults are good");
    (fake, clerk)
}

/// Lifts the stand-in's rate limits and returns a builder for an engine on it.
///
/// The stand-in [drops its rate limits](FakeClerkBuilder::no_rate_limit), whichever it had. The engine calls it in
/// process, has no sign-in budget, and uses the stand-in's clock; all other settings have their defaults. Use it for
/// tests that configure one of the two:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_clerk::testing::{self, FakeClerk};
///
/// let fake = FakeClerk::builder().token_life(Duration::from_secs(5)).build();
/// let clerk = testing::unlimited_builder(&fake).session_ttl(Duration::from_secs(60)).build()?;
/// # let _ = clerk;
/// # Ok(()) }
/// ```
///
/// An engine with a [`secret_key`](ClerkBuilder::secret_key) also has a budget of calls to the Backend API, spread
/// evenly over time. A large [`backend_rate`](ClerkBuilder::backend_rate) lifts it:
///
/// ```
/// # fn main() -> Result<(), tower_clerk::ConfigError> {
/// use std::time::Duration;
/// use tower_clerk::testing::{self, FakeClerk};
///
/// let fake = FakeClerk::new();
/// let clerk = testing::unlimited_builder(&fake)
///     .secret_key(fake.secret_key())
///     .backend_url(fake.backend_url())
///     .backend_rate(10_000, Duration::from_secs(1))
///     .build()?;
/// # let _ = clerk;
/// # Ok(()) }
/// ```
pub fn unlimited_builder(fake: &FakeClerk) -> ClerkBuilder {
    fake.reconfigure(FakeClerkBuilder::no_rate_limit);
    Clerk::builder(fake.fapi_url())
        .transport(fake.clone())
        .clock(Clock::starting_at(fake.clock().wall()))
        .unlimited_sign_ins()
}

/// Returns the value of an `Authorization` field with HTTP Basic credentials, marked as sensitive.
///
/// ```
/// let value = tower_clerk::testing::basic("jane", "correct horse battery staple");
/// assert_eq!(value, "Basic amFuZTpjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl");
/// assert_eq!(format!("{value:?}"), "Sensitive");
/// ```
///
/// # Panics
///
/// Panics if `user` contains a colon, which HTTP Basic can't represent.
#[must_use]
pub fn basic(user: &str, password: &str) -> HeaderValue {
    assert!(!user.contains(':'), "HTTP Basic can't represent a user with a colon in it");
    let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
