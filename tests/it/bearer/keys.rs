//! The cache of verified tokens, and made-up tokens against it and the key set (rule B3).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, Fault, TokenFlaw};

use super::{ACCEPTED, EXPIRED, REFUSED, SECOND, accepting, bearer, jane, status};
use crate::common::{BOB, JANE, World, ask, code, run_ready_tasks};

/// A token with a key id that is in no key set, and not worth signing.
fn of_unknown_key(number: usize) -> String {
    let header = format!(r#"{{"alg":"RS256","kid":"ins_{number}","typ":"JWT"}}"#);
    format!("{}.e30.{:0342}", BASE64_URL_SAFE_NO_PAD.encode(header), number)
}

#[tokio::test(start_paused = true)]
async fn b3_a_verified_token_is_held_until_it_expires_and_not_longer() {
    let world = World::new();
    let layer = accepting(&world);
    let jwt = jane(&world).sign();
    let outcomes = || {
        let stats = world.clerk.stats();
        (stats.count(Outcome::Verified), stats.count(Outcome::Hit))
    };
    assert_eq!((status(&layer, &jwt).await, outcomes()), (ACCEPTED, (1, 0)));
    tokio::time::advance(60 * SECOND - Duration::from_millis(1)).await;
    assert_eq!((status(&layer, &jwt).await, outcomes()), (ACCEPTED, (1, 1)));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(
        (status(&layer, &jwt).await, outcomes()),
        (ACCEPTED, (2, 1)),
        "in the leeway, not from the cache"
    );
    tokio::time::advance(5 * SECOND).await;
    assert_eq!((status(&layer, &jwt).await, outcomes()), (EXPIRED, (2, 1)));
    assert_eq!(world.fake.count(Endpoint::Jwks), 1);
}

/// A hundred thousand made-up tokens in 100 s, before, while and after the instance's key is rotated.
#[tokio::test(start_paused = true)]
async fn b3_a_hundred_thousand_made_up_tokens_delay_no_rotation_and_no_hit() {
    let world = World::unlimited();
    let layer = accepting(&world);
    let good = jane(&world).life(600 * SECOND).sign();
    let (content, signature) = good.rsplit_once('.').unwrap();
    let badly_signed = |number: usize| format!("{content}.{number:06}{}", &signature[6..]);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(status(&layer, &good).await, ACCEPTED);
    assert_eq!(world.fake.count(Endpoint::Jwks), 1);
    let start = world.clock.now();
    for number in 0..100_000_usize {
        let jwt = if number % 2 == 0 { of_unknown_key(number) } else { badly_signed(number) };
        let response = ask(&layer, bearer(&jwt)).await;
        assert_eq!(response.status(), 401, "{number}");
        if number == 50_001 {
            let before = (world.clock.now(), world.fake.count(Endpoint::Jwks));
            world.fake.rotate_keys();
            assert_eq!(world.get(BOB).await.status(), 200);
            let after = (before.0, before.1 + 1);
            assert_eq!(
                (world.clock.now(), world.fake.count(Endpoint::Jwks)),
                after,
                "a fetch at once, no wait"
            );
            assert_eq!(status(&layer, &jane(&world).sign()).await, ACCEPTED, "of the new key");
        }
        if number % 1_000 == 0 {
            let before = (world.clock.now(), world.clerk.stats().count(Outcome::Hit));
            assert_eq!(status(&layer, &good).await, ACCEPTED);
            let after = (world.clock.now(), world.clerk.stats().count(Outcome::Hit));
            assert_eq!(after, (before.0, before.1 + 1), "a hit, and no wait");
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(world.clock.now() - start, 100 * SECOND);
    // The first fetch, one for a minted token, and one in 30 s for made-up tokens.
    assert_eq!(world.fake.count(Endpoint::Jwks), 1 + 1 + 4);
    assert_eq!(world.clerk.stats().verified_tokens, 2, "none of them got in");
}

#[tokio::test(start_paused = true)]
async fn b3_a_fetch_for_a_made_up_token_from_before_a_rotation_does_not_spend_the_mints() {
    let world = World::unlimited();
    assert_eq!(world.get(JANE).await.status(), 200);
    // The answer is made before the rotation, and arrives after the mint has joined the fetch.
    let hold = world.fake.hold_answer(Endpoint::Jwks);
    let made_up = tokio::spawn({
        let layer = accepting(&world);
        async move { status(&layer, &of_unknown_key(1)).await }
    });
    run_ready_tasks().await;
    world.fake.rotate_keys();
    let minted = tokio::spawn({
        let world = world.clone();
        async move { world.get_for(JANE, "acme").await.status() }
    });
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::Jwks), 2, "the mint has joined the fetch");
    hold.release();
    assert_eq!((made_up.await.unwrap(), minted.await.unwrap().as_u16()), (REFUSED, 200));
    assert_eq!(world.fake.count(Endpoint::Jwks), 3);
}

#[tokio::test(start_paused = true)]
async fn b3_a_key_that_a_clients_fetch_has_brought_costs_the_mints_nothing() {
    let world = World::unlimited();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.rotate_keys();
    let hold = world.fake.hold(Endpoint::Jwks);
    let made_up = tokio::spawn({
        let layer = accepting(&world);
        async move { status(&layer, &of_unknown_key(1)).await }
    });
    run_ready_tasks().await;
    let minted = tokio::spawn({
        let world = world.clone();
        async move { world.get_for(JANE, "acme").await.status() }
    });
    run_ready_tasks().await;
    hold.release();
    assert_eq!((made_up.await.unwrap(), minted.await.unwrap().as_u16()), (REFUSED, 200));
    assert_eq!(world.fake.count(Endpoint::Jwks), 2, "one fetch for both");
    // Another rotation within the 30 s.
    world.fake.rotate_keys();
    assert_eq!(world.get_for(JANE, "globex").await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Jwks), 3);
}

#[tokio::test(start_paused = true)]
async fn b3_a_slow_or_failing_key_set_holds_up_no_held_token_and_is_no_refusal() {
    let world = World::new();
    let layer = accepting(&world);
    let held = jane(&world).life(600 * SECOND).sign();
    assert_eq!(status(&layer, &held).await, ACCEPTED);
    world.fake.rotate_keys();
    world.fake.script_always(Endpoint::Jwks, Fault::Hang);
    let start = world.clock.now();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (layer, jwt) = (layer.clone(), jane(&world).sign());
            tokio::spawn(async move { code(&ask(&layer, bearer(&jwt)).await) })
        })
        .collect();
    run_ready_tasks().await;
    assert_eq!((status(&layer, &held).await, world.clock.now()), (ACCEPTED, start));
    for request in waiting {
        assert_eq!(request.await.unwrap(), "upstream_unavailable", "not 401");
    }
    // The next fetch may come after two seconds; until then an unknown key id is answered at once, and not by a refusal.
    let (fetches, jwt) = (world.fake.count(Endpoint::Jwks), jane(&world).sign());
    assert_eq!(code(&ask(&layer, bearer(&jwt)).await), "upstream_unavailable");
    assert_eq!(world.fake.count(Endpoint::Jwks), fetches);
    world.fake.clear_script(Endpoint::Jwks);
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(status(&layer, &jane(&world).sign()).await, ACCEPTED);
    assert_eq!(world.fake.count(Endpoint::Jwks), fetches + 1);
}

#[tokio::test(start_paused = true)]
async fn b3_made_up_tokens_cause_few_fetches_while_the_key_set_fails() {
    let world = World::new();
    let layer = accepting(&world);
    world.fake.script_always(Endpoint::Jwks, Fault::Status(503));
    for number in 0..1_000 {
        let response = ask(&layer, bearer(&of_unknown_key(number))).await;
        assert_eq!(code(&response), "upstream_unavailable");
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), 5, "one in two seconds");
    // Nor do tokens of a known key, when the key set is old enough to be fetched again.
    world.fake.clear_script(Endpoint::Jwks);
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(status(&layer, &jane(&world).sign()).await, ACCEPTED);
    world.fake.script_always(Endpoint::Jwks, Fault::Status(503));
    tokio::time::advance(300 * SECOND).await;
    let fetches = world.fake.count(Endpoint::Jwks);
    let flawed = jane(&world).flaw(TokenFlaw::BadSignature).sign();
    for _ in 0..600 {
        assert_eq!(status(&layer, &flawed).await, REFUSED);
        run_ready_tasks().await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), fetches + 2, "one in thirty seconds");
}

#[tokio::test(start_paused = true)]
async fn b3_verified_tokens_are_bounded_apart_from_the_sessions() {
    let world = World::with(|fake| fake, |engine| engine.max_verified_tokens(3).max_sessions(2));
    let layer = accepting(&world);
    assert_eq!(world.get(JANE).await.status(), 200);
    let jwts: Vec<_> = (0..8).map(|_| jane(&world).sign()).collect();
    for jwt in &jwts {
        assert_eq!(status(&layer, jwt).await, ACCEPTED);
    }
    let stats = world.clerk.stats();
    assert_eq!((stats.verified_tokens, stats.sessions), (3, 1));
    assert_eq!(status(&layer, &jwts[0]).await, ACCEPTED, "verified again");
    assert_eq!(world.clerk.stats().count(Outcome::Verified), 9);
}
