//! A proxy in front of Clerk whose clock is wrong (rules S9, K2).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::{Method, Request, Response};
use tower_clerk::testing::{Clock, Endpoint, FakeClerk};
use tower_clerk::transport::{Transport, TransportFuture};
use tower_clerk::{Clerk, ClerkBuilder, Credentials};

use crate::common::{BOB, JANE, Pair, World, code};

const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How the proxy changes the answer to a POST.
#[derive(Clone, Copy)]
enum Change {
    /// The proxy's own error page in its place, dated by the proxy's clock.
    ErrorPage(SystemTime),
    /// The answer, with another date.
    Date(SystemTime),
    /// The answer without a date.
    NoDate,
}

#[derive(Clone)]
struct Proxy {
    fake: FakeClerk,
    /// The change of the next answer only.
    next: Arc<Mutex<Option<Change>>>,
    /// The change of all other answers.
    always: Arc<Mutex<Option<Change>>>,
}

impl Transport for Proxy {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let is_post = request.method() == Method::POST;
            let mut response = self.fake.send(request).await?;
            if !is_post {
                return Ok(response);
            }
            let date = |at| HeaderValue::from_str(&httpdate::fmt_http_date(at)).unwrap();
            let change = self.next.lock().unwrap().take().or(*self.always.lock().unwrap());
            match change {
                Some(Change::ErrorPage(at)) => {
                    response = Response::new(Bytes::from_static(b"<html>bad gateway</html>"));
                    *response.status_mut() = http::StatusCode::BAD_GATEWAY;
                    response.headers_mut().insert(DATE, date(at));
                }
                Some(Change::Date(at)) => _ = response.headers_mut().insert(DATE, date(at)),
                Some(Change::NoDate) => _ = response.headers_mut().remove(DATE),
                None => {}
            }
            Ok(response)
        })
    }
}

fn world(engine: impl FnOnce(ClerkBuilder, &FakeClerk) -> ClerkBuilder) -> (World, Proxy) {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    let fake = FakeClerk::builder().clock(clock).build();
    let proxy = Proxy { fake: fake.clone(), next: Arc::default(), always: Arc::default() };
    let builder = Clerk::builder(fake.fapi_url()).transport(proxy.clone()).clock(clock).jitter_seed(7);
    let clerk = engine(builder, &fake).build().unwrap();
    (World { clock, fake, clerk }, proxy)
}

#[tokio::test(start_paused = true)]
async fn k2_one_wrong_date_costs_no_enrollment() {
    for is_error_page in [false, true] {
        let (world, proxy) = world(|engine, _| engine);
        let credentials = Credentials::new(NEWDEVICE.0, NEWDEVICE.1).unwrap();
        let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
        let factor = enrollment.factors()[0].clone();
        enrollment.send_code(&factor).await.unwrap();
        let sent = world.fake.last_code(NEWDEVICE.0).unwrap();
        enrollment.confirm(&factor, &sent).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let ahead = world.clock.wall() + 31 * DAY;
        *proxy.next.lock().unwrap() =
            Some(if is_error_page { Change::ErrorPage(ahead) } else { Change::Date(ahead) });
        // A token dated a month before its answer is rejected, which is the only effect.
        assert_ne!(world.get(BOB).await.status(), 401);
        assert_eq!(world.get(NEWDEVICE).await.status(), 200, "error page: {is_error_page}");
    }
}

#[tokio::test(start_paused = true)]
async fn s9_tokens_are_not_checked_against_the_date_of_an_error_page() {
    let (world, proxy) = world(|engine, _| engine);
    *proxy.always.lock().unwrap() = Some(Change::NoDate);
    assert_eq!(world.get(BOB).await.status(), 200, "the wall clock is used without a date");
    *proxy.next.lock().unwrap() = Some(Change::ErrorPage(world.clock.wall() + DAY / 12));
    assert_eq!(code(&world.get_as("nobody@example.com", "a guess").await), "upstream_unavailable");
    assert_eq!(world.get(JANE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k2_one_wrong_date_drops_no_stored_session() {
    let (world, proxy) = world(|engine, fake| {
        let engine = engine.secret_key(fake.secret_key()).backend_url(fake.backend_url());
        engine.session_ttl(Duration::from_secs(600)).proof_renewal(false)
    });
    for _ in 0..4 {
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(700)).await;
        *proxy.next.lock().unwrap() = Some(Change::Date(world.clock.wall() + 8 * DAY));
    }
    assert_eq!((world.fake.live_sessions(), world.fake.count(Endpoint::SignIns)), (1, 1));
}

/// The times of a token are checked against the `Date` of its answer within five seconds or, without that field,
/// against the wall clock within a minute.
#[tokio::test(start_paused = true)]
async fn s9_a_token_may_be_five_seconds_off_by_clerks_date_and_sixty_by_the_wall_clock() {
    for (behind, status) in [(5, 200), (6, 503)] {
        let (world, proxy) = world(|engine, _| engine);
        *proxy.always.lock().unwrap() = Some(Change::Date(world.clock.wall() - behind * SECOND));
        assert_eq!(world.get(JANE).await.status(), status, "Clerk's date is {behind} s behind its tokens");
    }
    for (behind, status) in [(60, 200), (61, 503)] {
        let (world, proxy) = world(|engine, _| engine);
        let clock = Clock::starting_at(world.clock.wall() - behind * SECOND);
        let engine = Clerk::builder(world.fake.fapi_url()).transport(proxy.clone()).clock(clock);
        let world = World { clerk: engine.build().unwrap(), ..world };
        *proxy.always.lock().unwrap() = Some(Change::NoDate);
        assert_eq!(
            world.get(JANE).await.status(),
            status,
            "the wall clock is {behind} s behind Clerk's tokens"
        );
    }
}
