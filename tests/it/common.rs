//! Helpers of all tests: a stand-in and an engine on one paused clock, requests, and comparisons of answers.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::layer::RejectionResponse;
use tower_clerk::testing::{Clock, FakeClerk, FakeClerkBuilder};
use tower_clerk::transport::Transport as _;
use tower_clerk::{
    Anonymous, Clerk, ClerkApiKey, ClerkBasicAuthLayer, ClerkBuilder, ClerkSession, Credentials, Rejection,
    RejectionKind,
};

pub(crate) type Pair = (&'static str, &'static str);

pub(crate) const JANE: Pair = ("jane@example.com", "correct horse battery staple");
pub(crate) const BOB: Pair = ("bob@example.com", "hunter2hunter2");
pub(crate) const CAROL: Pair = ("carol@example.com", "personal account only");

/// A user that Clerk lets sign in only from known devices (Device Trust).
pub(crate) const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");

/// `NEWDEVICE` in another spelling: the same user to Clerk, another credential to the engine.
pub(crate) const NEWDEVICE_RESPELLED: Pair = ("NewDevice@example.com", NEWDEVICE.1);

/// A stand-in and an engine that calls it in process, on the same clock.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) fake: FakeClerk,
    pub(crate) clerk: Clerk,
}

impl World {
    /// Uses the Frontend API, with Clerk's limits and the engine's defaults.
    pub(crate) fn new() -> Self {
        Self::with(|fake| fake, |engine| engine)
    }

    /// Uses the Frontend API without a sign-in limit in the stand-in or the engine.
    pub(crate) fn unlimited() -> Self {
        Self::with(FakeClerkBuilder::no_rate_limit, ClerkBuilder::unlimited_sign_ins)
    }

    pub(crate) fn with(
        fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder,
        engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> Self {
        // Any time after the date in the API version will do.
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
        let fake = fake(FakeClerk::builder().clock(clock)).build();
        let clerk = engine(builder(&fake, clock)).build().unwrap();
        Self { clock, fake, clerk }
    }

    /// Uses the Backend API, with Clerk's limits and the engine's defaults.
    pub(crate) fn backend() -> Self {
        Self::backend_with(|fake| fake, |engine| engine)
    }

    pub(crate) fn backend_with(
        fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder,
        engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
        let fake = fake(FakeClerk::builder().clock(clock)).build();
        let clerk = engine(backend_builder(&fake, clock)).build().unwrap();
        Self { clock, fake, clerk }
    }

    /// Returns the same instance with a new engine on the Backend API, like a restarted process: it knows only what its
    /// settings (such as a session store) contain.
    pub(crate) fn restarted(&self, engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder) -> Self {
        let clerk = engine(backend_builder(&self.fake, self.clock)).build().unwrap();
        Self { clock: self.clock, fake: self.fake.clone(), clerk }
    }

    pub(crate) fn layer(&self) -> ClerkBasicAuthLayer {
        ClerkBasicAuthLayer::new(self.clerk.clone())
    }

    /// Sends a request with these credentials through a layer with default settings.
    pub(crate) async fn get(&self, pair: Pair) -> Response<String> {
        ask(&self.layer(), basic(pair)).await
    }

    /// Like [`Self::get`], for credentials that are not `'static`.
    pub(crate) async fn get_as(&self, identifier: &str, password: &str) -> Response<String> {
        ask(&self.layer(), basic((identifier, password))).await
    }

    /// Sends a request with these credentials through a layer whose selector returns this organization.
    pub(crate) async fn get_for(&self, pair: Pair, organization: &str) -> Response<String> {
        let organization = organization.to_owned();
        let layer = self.layer().organization_from(move |_| Some(organization.clone()));
        ask(&layer, basic(pair)).await
    }
}

/// Builds an engine that calls the stand-in in process.
pub(crate) fn builder(fake: &FakeClerk, clock: Clock) -> ClerkBuilder {
    Clerk::builder(fake.fapi_url()).transport(fake.clone()).clock(clock).jitter_seed(7)
}

/// Like [`builder`], with the instance's secret key.
pub(crate) fn backend_builder(fake: &FakeClerk, clock: Clock) -> ClerkBuilder {
    builder(fake, clock).secret_key(fake.secret_key()).backend_url(fake.backend_url())
}

/// A writer that collects the log.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the log of this thread, at every level, while `work` runs.
pub(crate) async fn logged(work: impl Future<Output = ()>) -> String {
    use tracing_subscriber::util::SubscriberInitExt as _;

    // With a single dispatcher in the process, a call site that another thread reaches first is disabled for good:
    // https://github.com/tokio-rs/tracing/issues/2874. A second dispatcher prevents that.
    static SECOND: LazyLock<tracing::Dispatch> = LazyLock::new(|| {
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
        tracing::Dispatch::new(subscriber.with_writer(io::sink).finish())
    });
    LazyLock::force(&SECOND);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = subscriber.set_default();
    work.await;
    let text = log.0.lock().unwrap().clone();
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn authorization((identifier, password): (&str, &str)) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{identifier}:{password}")))
}

pub(crate) fn basic(pair: (&str, &str)) -> Request<()> {
    with_authorization(&authorization(pair))
}

pub(crate) fn with_authorization(field: &str) -> Request<()> {
    Request::get("/me").header(AUTHORIZATION, field).body(()).unwrap()
}

/// The request as the inner service saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) is_anonymous: bool,
}

/// The inner service of most tests: answers with the user's id, and puts what it saw into the response's extensions.
pub(crate) async fn me(request: Request<()>) -> Result<Response<String>, Infallible> {
    let session = request.extensions().get::<ClerkSession>().cloned();
    let mut response = Response::new(match &session {
        Some(session) => session.user_id().to_owned(),
        None => "nobody".to_owned(),
    });
    let is_anonymous = request.extensions().get::<Anonymous>().is_some();
    response.extensions_mut().insert(Seen { headers: request.headers().clone(), is_anonymous });
    if let Some(session) = session {
        response.extensions_mut().insert(session);
    }
    if let Some(key) = request.extensions().get::<ClerkApiKey>() {
        response.extensions_mut().insert(key.clone());
    }
    Ok(response)
}

pub(crate) async fn ask<R>(layer: &ClerkBasicAuthLayer<R>, request: Request<()>) -> Response<String>
where
    R: RejectionResponse<String>,
{
    in_time(layer.layer(service_fn(me)).oneshot(request)).await.unwrap()
}

/// Fails the test instead of hanging: on the paused clock, ten minutes pass as soon as no task can run.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), future).await.expect("an answer within ten minutes")
}

/// Makes the stand-in generate its key now, since that is slow enough to exceed deadlines in real time.
pub(crate) async fn warm_up(fake: &FakeClerk) {
    let keys = Request::get(fake.fapi_url() + "/.well-known/jwks.json").body(bytes::Bytes::new()).unwrap();
    assert_eq!(fake.send(keys).await.unwrap().status(), 200);
    fake.clear_log();
}

/// Enrolls the engine's device for a user from whom Clerk requires a code. Tries a wrong code first, which enrolls
/// nothing.
pub(crate) async fn enroll(world: &World, pair: Pair) {
    enroll_as(world, pair, pair.0).await;
}

/// Like [`enroll`], where the stand-in knows the identifier in another spelling, `user`.
pub(crate) async fn enroll_as(world: &World, (identifier, password): Pair, user: &str) {
    let credentials = Credentials::new(identifier, password).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    assert!(!enrollment.is_done(), "Clerk requires a code");
    let factor = enrollment.factors()[0].clone();
    assert!(factor.needs_code_sent() && factor.sent_to().is_some_and(|to| to.contains('*')), "{factor:?}");
    assert!(!enrollment.has_second_factor());
    enrollment.send_code(&factor).await.unwrap();
    let wrong = enrollment.confirm(&factor, "000000").await.unwrap_err();
    assert_eq!(wrong.kind(), RejectionKind::CredentialsRejected);
    assert!(!enrollment.is_done());
    let sent = world.fake.last_code(user).unwrap();
    enrollment.confirm(&factor, &format!(" {sent}\n")).await.unwrap();
    assert!(enrollment.is_done(), "the device is enrolled");
}

/// Waits until Clerk's sign-in limit is fully available again.
pub(crate) async fn rest() {
    tokio::time::sleep(Duration::from_secs(30)).await;
    run_ready_tasks().await;
}

/// Waits until the engine has written its records: a paused clock stands still while a thread works.
pub(crate) async fn settle() {
    run_ready_tasks().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    run_ready_tasks().await;
}

/// The session that the inner service saw.
#[track_caller]
pub(crate) fn session(response: &Response<String>) -> &ClerkSession {
    match response.extensions().get::<ClerkSession>() {
        Some(session) => session,
        None => panic!("{} instead of a session: {:?}", response.status(), rejection(response)),
    }
}

pub(crate) fn rejection(response: &Response<String>) -> Option<&Rejection> {
    response.extensions().get::<Rejection>()
}

/// The rejection's code, or "" if the answer is not a rejection.
pub(crate) fn code(response: &Response<String>) -> &'static str {
    rejection(response).map_or("", Rejection::code)
}

/// The slug of the organization in the session that the inner service saw.
#[track_caller]
pub(crate) fn organization_of(response: &Response<String>) -> Option<&str> {
    session(response).organization()?.slug()
}

/// The parts of a response that go over the wire, for comparison.
pub(crate) fn wire(response: &Response<String>) -> (u16, Vec<(String, String)>, String) {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut headers: Vec<_> = response.headers().iter().map(header).collect();
    headers.sort();
    (response.status().as_u16(), headers, response.body().clone())
}

/// Runs all tasks as far as they get without time passing.
pub(crate) async fn run_ready_tasks() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
