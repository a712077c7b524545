//! The instance's keys: rotation, outages, and slow answers (rules S4, S9).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, World, ask, basic, code, run_ready_tasks};
use bytes::Bytes;
use http::{Request, Response};
use tower_clerk::Clerk;
use tower_clerk::testing::{Endpoint, FakeClerk, Fault, TokenFlaw};
use tower_clerk::transport::{Transport, TransportError, TransportFuture};

const TOKEN_LIFE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn s9_a_rotated_key_is_fetched_when_its_first_token_arrives() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Jwks), 1);
    tokio::time::advance(TOKEN_LIFE).await;
    world.fake.rotate_keys();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Jwks), 2);
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Jwks), 2, "one fetch for all");
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn s9_an_unknown_key_causes_at_most_one_fetch_in_thirty_seconds() {
    let world = World::unlimited();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.script_always(Endpoint::Tokens, Fault::TokenWith(TokenFlaw::UnknownKid));
    for _ in 0..20 {
        assert_eq!(code(&world.get_for(JANE, "acme").await), "upstream_unavailable");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), 2);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(code(&world.get_for(JANE, "acme").await), "upstream_unavailable");
    assert_eq!(world.fake.count(Endpoint::Jwks), 3);
    world.fake.clear_script(Endpoint::Tokens);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s9_keys_are_refetched_in_the_background_every_five_minutes_of_use() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    for minute in 1..=11 {
        tokio::time::advance(TOKEN_LIFE).await;
        assert_eq!(world.get(JANE).await.status(), 200);
        run_ready_tasks().await;
        assert_eq!(world.fake.count(Endpoint::Jwks), 1 + minute / 5, "minute {minute}");
    }
    // An idle engine fetches no keys.
    tokio::time::advance(Duration::from_secs(1_800)).await;
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::Jwks), 3);
}

#[tokio::test(start_paused = true)]
async fn s9_cached_keys_survive_an_outage_of_a_day_and_no_longer() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(Duration::from_secs(24 * 3600)));
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.script_always(Endpoint::Jwks, Fault::Status(503));
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(world.get(JANE).await.status(), 200);
        run_ready_tasks().await;
    }
    tokio::time::advance(Duration::from_secs(4 * 3600 + 1)).await;
    assert_eq!(code(&world.get(BOB).await), "upstream_unavailable");
    world.fake.clear_script(Endpoint::Jwks);
    assert_eq!(world.get(BOB).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s9_a_key_that_is_gone_from_the_set_is_dropped() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.rotate_keys();
    world.fake.retire_old_keys();
    tokio::time::advance(TOKEN_LIFE).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Jwks), 2);
}

#[tokio::test(start_paused = true)]
async fn s9_a_slow_key_set_never_delays_a_hit_or_a_mint_whose_key_is_cached() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200);
    // The keys are old enough to be fetched again in the background.
    tokio::time::advance(Duration::from_secs(300)).await;
    world.fake.script_always(Endpoint::Jwks, Fault::Hang);
    let start = world.clock.now();
    for pair in [JANE, BOB, JANE, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    run_ready_tasks().await;
    assert_eq!(world.clock.now(), start, "no request has waited");
    assert_eq!(world.fake.count(Endpoint::Jwks), 2, "the key set is fetched in the background");

    // Tokens signed by a new key wait for the key set, and hits still don't.
    world.fake.rotate_keys();
    let waiting = tokio::spawn({
        let layer = world.layer().organization("globex").unwrap();
        async move { ask(&layer, basic(JANE)).await }
    });
    run_ready_tasks().await;
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.clock.now(), start);
    assert_eq!(code(&waiting.await.unwrap()), "upstream_unavailable");
}

#[tokio::test(start_paused = true)]
async fn s4_no_error_of_the_key_set_is_a_refusal_or_ends_a_session() {
    for fault in [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::StatusWithCode(403, "user_locked".to_owned()),
        Fault::StatusWithCode(404, "organization_not_found_or_unauthorized".to_owned()),
    ] {
        let world = World::new();
        let what = format!("{fault:?}");
        world.fake.script_times(Endpoint::Jwks, 2, fault);
        assert_eq!(code(&world.get(JANE).await), "upstream_unavailable", "{what}");
        world.fake.clear_script(Endpoint::Jwks);
        assert_eq!(world.get(JANE).await.status(), 200, "{what}");
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{what}");
    }
}

/// The session is open at Clerk. Dropping it would cost another sign-in, and would leave a session that is never ended.
#[tokio::test(start_paused = true)]
async fn s9_a_hanging_key_set_does_not_lose_the_opened_session() {
    let world = World::new();
    world.fake.script(Endpoint::Jwks, Fault::Hang);
    assert_eq!(code(&world.get(JANE).await), "upstream_unavailable");
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Withholds the first answer to a mint, and replays it for later mints while `on` is set.
#[derive(Clone)]
struct Replay {
    fake: FakeClerk,
    withheld: Arc<Mutex<Option<Response<Bytes>>>>,
    on: Arc<AtomicBool>,
}

impl Transport for Replay {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let is_mint = request.uri().path().ends_with("/tokens");
            if is_mint && self.on.load(Ordering::SeqCst) {
                return Ok(self.withheld.lock().unwrap().clone().unwrap());
            }
            let response = self.fake.send(request).await?;
            let mut withheld = self.withheld.lock().unwrap();
            if !is_mint || withheld.is_some() {
                return Ok(response);
            }
            *withheld = Some(response);
            Err(TransportError::broken("withheld"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s9_a_token_signed_by_a_dropped_key_is_rejected() {
    for (is_dropped, status) in [(false, 200), (true, 503)] {
        let world = World::new();
        let replay = Replay { fake: world.fake.clone(), withheld: Arc::default(), on: Arc::default() };
        let clerk = Clerk::builder(world.fake.fapi_url()).transport(replay.clone()).clock(world.clock);
        let world = World { clerk: clerk.build().unwrap(), ..world };
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.get_for(JANE, "acme").await.status(), 503, "the answer is withheld");
        world.fake.rotate_keys();
        if is_dropped {
            world.fake.retire_old_keys();
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(world.get_for(JANE, "globex").await.status(), 200, "this mint fetches the new key set");
        replay.on.store(true, Ordering::SeqCst);
        assert_eq!(world.get_for(JANE, "acme").await.status(), status, "dropped: {is_dropped}");
    }
}
