//! What the behaviour tests share: a stand-in and an engine on one driven clock, requests, and answers to compare.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
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
    Anonymous, Clerk, ClerkBasicAuthLayer, ClerkBuilder, ClerkSession, Credentials, Rejection, RejectionKind,
};

pub(crate) type Pair = (&'static str, &'static str);

pub(crate) const JANE: Pair = ("jane@example.com", "correct horse battery staple");
pub(crate) const BOB: Pair = ("bob@example.com", "hunter2hunter2");
pub(crate) const CAROL: Pair = ("carol@example.com", "personal account only");

/// A user whom Clerk lets in from known devices alone.
pub(crate) const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");

/// The same credential spelled in another way: Clerk takes it for the same user, the engine for another credential.
pub(crate) const NEWDEVICE_RESPELLED: Pair = ("NewDevice@example.com", NEWDEVICE.1);

/// A stand-in and an engine that asks it in process, by the same clock.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) fake: FakeClerk,
    pub(crate) clerk: Clerk,
}

impl World {
    /// With Clerk's limits and the engine's defaults.
    pub(crate) fn new() -> Self {
        Self::with(|fake| fake, |engine| engine)
    }

    /// Without any budget of sign-ins, on either side.
    pub(crate) fn unlimited() -> Self {
        Self::with(FakeClerkBuilder::no_rate_limit, ClerkBuilder::unlimited_sign_ins)
    }

    pub(crate) fn with(
        fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder,
        engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> Self {
        // Any time will do, if only it is after the API's version.
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
        let fake = fake(FakeClerk::builder().clock(clock)).build();
        let clerk = engine(builder(&fake, clock)).build().unwrap();
        Self { clock, fake, clerk }
    }

    /// On the Backend API's road, with Clerk's limits.
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

    /// The same instance, and an engine that knows nothing but what is given to it: a process that was started anew.
    pub(crate) fn restarted(&self, engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder) -> Self {
        let clerk = engine(backend_builder(&self.fake, self.clock)).build().unwrap();
        Self { clock: self.clock, fake: self.fake.clone(), clerk }
    }

    pub(crate) fn layer(&self) -> ClerkBasicAuthLayer {
        ClerkBasicAuthLayer::new(self.clerk.clone())
    }

    /// A request of this user through the plain layer.
    pub(crate) async fn get(&self, pair: Pair) -> Response<String> {
        ask(&self.layer(), basic(pair)).await
    }

    /// The same for a user whose name is made up as it goes.
    pub(crate) async fn get_as(&self, identifier: &str, password: &str) -> Response<String> {
        ask(&self.layer(), basic((identifier, password))).await
    }

    /// A request of this user through a layer for this organization, from a function as in a path.
    pub(crate) async fn get_for(&self, pair: Pair, organization: &str) -> Response<String> {
        let organization = organization.to_owned();
        let layer = self.layer().organization_from(move |_| Some(organization.clone()));
        ask(&layer, basic(pair)).await
    }
}

/// An engine in front of a stand-in, in process.
pub(crate) fn builder(fake: &FakeClerk, clock: Clock) -> ClerkBuilder {
    Clerk::builder(fake.fapi_url()).transport(fake.clone()).clock(clock).jitter_seed(7)
}

/// The same with the instance's secret key.
pub(crate) fn backend_builder(fake: &FakeClerk, clock: Clock) -> ClerkBuilder {
    builder(fake, clock).secret_key(fake.secret_key()).backend_url(fake.backend_url())
}

/// What was logged.
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

/// What is logged meanwhile, at every level, by whatever runs in this thread.
pub(crate) async fn logged(work: impl Future<Output = ()>) -> String {
    use tracing_subscriber::util::SubscriberInitExt as _;

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

/// What the inner service saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) is_anonymous: bool,
}

/// The inner service of most tests: says whom it saw, and leaves what it saw in the response.
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
    Ok(response)
}

pub(crate) async fn ask<R>(layer: &ClerkBasicAuthLayer<R>, request: Request<()>) -> Response<String>
where
    R: RejectionResponse<String>,
{
    in_time(layer.layer(service_fn(me)).oneshot(request)).await.unwrap()
}

/// Turns what would hang into a failure: on a driven clock, ten minutes pass as soon as nobody has anything to do.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), future).await.expect("an answer within ten minutes")
}

/// Makes the stand-in's key, which takes a moment that no deadline in real time should have to bear.
pub(crate) async fn warm_up(fake: &FakeClerk) {
    let keys = Request::get(fake.fapi_url() + "/.well-known/jwks.json").body(bytes::Bytes::new()).unwrap();
    assert_eq!(fake.send(keys).await.unwrap().status(), 200);
    fake.clear_log();
}

/// Makes the engine's device known to Clerk as that of a user of whom Clerk wants a code. A wrong code comes first, which
/// enrolls nothing.
pub(crate) async fn enroll(world: &World, pair: Pair) {
    enroll_as(world, pair, pair.0).await;
}

/// The same for an identifier that Clerk has in another spelling: `user` is how the stand-in knows it.
pub(crate) async fn enroll_as(world: &World, (identifier, password): Pair, user: &str) {
    let credentials = Credentials::new(identifier, password).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    assert!(!enrollment.is_done(), "a code is wanted");
    let factor = enrollment.factors()[0].clone();
    assert!(factor.is_sent() && factor.sent_to().is_some_and(|to| to.contains('*')), "{factor:?}");
    assert!(!enrollment.has_second_factor());
    enrollment.send_code(&factor).await.unwrap();
    let wrong = enrollment.confirm(&factor, "000000").await.unwrap_err();
    assert_eq!(wrong.kind(), RejectionKind::CredentialsRejected);
    assert!(!enrollment.is_done());
    let sent = world.fake.last_code(user).unwrap();
    enrollment.confirm(&factor, &format!(" {sent}\n")).await.unwrap();
    assert!(enrollment.is_done(), "the device is enrolled");
}

/// After that, Clerk's budget of sign-ins is as it was before.
pub(crate) async fn rest() {
    tokio::time::sleep(Duration::from_secs(30)).await;
    settle().await;
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

/// The code of a rejection; "" for an answer that is none.
pub(crate) fn code(response: &Response<String>) -> &'static str {
    rejection(response).map_or("", Rejection::code)
}

/// The slug of the organization in the session that the inner service saw.
#[track_caller]
pub(crate) fn organization_of(response: &Response<String>) -> Option<&str> {
    session(response).organization()?.slug()
}

/// All of a response that goes over the wire, to be compared.
pub(crate) fn wire(response: &Response<String>) -> (u16, Vec<(String, String)>, String) {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut headers: Vec<_> = response.headers().iter().map(header).collect();
    headers.sort();
    (response.status().as_u16(), headers, response.body().clone())
}

/// Lets all tasks do what they can do without time passing.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
