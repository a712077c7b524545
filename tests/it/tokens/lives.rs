//! How long a token is cached, and by which clock (rules K2, K3).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::{Method, Request};
use tokio::task::JoinSet;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk};
use tower_clerk::transport::{Transport, TransportFuture};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

use crate::common::{BOB, JANE, World, ask, basic, builder, logged, run_ready_tasks, session};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token that lives for a day is renewed after three quarters of it, or up to a tenth of that earlier.
#[tokio::test(start_paused = true)]
async fn k2_no_token_is_cached_longer_than_a_day() {
    let world = World::with(|fake| fake.token_life(7 * DAY), |engine| engine.session_ttl(DAY));
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(16 * HOUR).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::Tokens), 0, "no renewal is due yet");
    tokio::time::advance(2 * HOUR + Duration::from_secs(1)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::Tokens), 1, "three quarters of a day have passed");
}

#[tokio::test(start_paused = true)]
async fn k2_a_wrong_wall_clock_is_warned_about_once() {
    for (off, warnings) in [(Duration::ZERO, 0), (HOUR, 1)] {
        let world = World::new();
        let clerk = builder(&world.fake, Clock::starting_at(world.clock.wall() - off)).build().unwrap();
        let layer = ClerkBasicAuthLayer::new(clerk);
        let log = logged(async {
            for pair in [JANE, BOB, JANE] {
                assert_eq!(ask(&layer, basic(pair)).await.status(), 200);
                tokio::time::advance(Duration::from_secs(61)).await;
            }
        })
        .await;
        let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("clock")).count();
        assert_eq!(warned, warnings, "off by {off:?}: {log}");
    }
}

/// Dates the answers to GETs a day ahead, and removes the date of all others.
#[derive(Clone)]
struct Cached {
    fake: FakeClerk,
    ahead: SystemTime,
}

impl Transport for Cached {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let is_get = request.method() == Method::GET;
            let mut response = self.fake.send(request).await?;
            if is_get {
                let date = HeaderValue::from_str(&httpdate::fmt_http_date(self.ahead)).unwrap();
                response.headers_mut().insert(DATE, date);
            } else {
                response.headers_mut().remove(DATE);
            }
            Ok(response)
        })
    }
}

/// The key set may come from a cache, with the date of another day. By that date the token would have expired.
#[tokio::test(start_paused = true)]
async fn k2_the_date_of_an_answer_to_a_get_is_not_taken_as_the_time() {
    let world = World::new();
    let transport = Cached { fake: world.fake.clone(), ahead: world.clock.wall() + DAY };
    let clerk =
        Clerk::builder(world.fake.fapi_url()).transport(transport).clock(world.clock).build().unwrap();
    let layer = ClerkBasicAuthLayer::new(clerk);
    for pair in [JANE, BOB] {
        assert_eq!(ask(&layer, basic(pair)).await.status(), 200);
    }
    assert!(world.fake.count(Endpoint::Jwks) > 0, "a GET was answered before the tokens were verified");
}

/// The old token serves all requests while the renewal is in flight.
#[tokio::test(start_paused = true)]
async fn k3_a_token_is_renewed_once_however_many_requests_find_it_due() {
    let world = World::new();
    let first = world.get(JANE).await;
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    let minted = world.fake.count(Endpoint::Tokens);
    tokio::time::advance(Duration::from_secs(46)).await;
    let hold = world.fake.hold(Endpoint::Tokens);
    for _ in 0..2 {
        let start = world.clock.now();
        let requests: JoinSet<_> = (0..100)
            .map(|_| {
                let layer = world.layer();
                async move { ask(&layer, basic(JANE)).await }
            })
            .collect();
        for response in requests.join_all().await {
            assert_eq!(session(&response).token(), session(&first).token());
        }
        assert_eq!(world.clock.now(), start, "none of them waits");
        run_ready_tasks().await;
        assert_eq!(hold.waiting(), 1, "one renewal for all of them");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 2, "an organization's token has a renewal of its own");
    hold.release();
    run_ready_tasks().await;
    assert_ne!(session(&world.get(JANE).await).token(), session(&first).token());
    assert_eq!(world.fake.count(Endpoint::Tokens), minted + 2);
}
