//! Tokens are renewed without a sign-in, and are never passed on near their end, by Clerk's clock and not the local one
//! (rules K2, K4, S9).

use std::time::{Duration, SystemTime};

use crate::common::{BOB, JANE, World, ask, basic, builder, code, organization_of, session};
use http::Response;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, Fault};
use tower_clerk::{ClerkBasicAuthLayer, ClerkBuilder, RejectionKind};

const STEP: Duration = Duration::from_secs(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the remaining life of the token that the handler saw, by this clock.
#[track_caller]
fn left(response: &Response<String>, clerks: Clock) -> Duration {
    session(response).expires_at().duration_since(clerks.wall()).unwrap_or_default()
}

/// Sends a request every second for a minute. Every token must have at least `least` left.
async fn a_minute(world: &World, layer: &ClerkBasicAuthLayer, least: Duration) {
    for _ in 0..60 {
        let response = ask(layer, basic(JANE)).await;
        let left = left(&response, world.clock);
        assert!(left >= least, "{left:?} left of the token at {:?}", world.clock.now());
        tokio::time::advance(STEP).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k2_a_minute_of_requests_on_tokens_of_eight_seconds_takes_one_sign_in() {
    let world = World::with(|fake| fake.token_life(secs(8)), |engine| engine);
    // At least a fifth of the token's life is left, as that is less than ten seconds.
    a_minute(&world, &world.layer(), Duration::from_millis(1_600)).await;
    let renewals = world.fake.count(Endpoint::Tokens);
    assert!(
        (8..=11).contains(&renewals),
        "{renewals} renewals: one for each three quarters of a life, or less"
    );
    assert!(world.fake.requests_to(Endpoint::Tokens).iter().all(|mint| mint.status().unwrap() == 200));
}

#[tokio::test(start_paused = true)]
async fn k2_a_route_may_require_a_longer_token_life_than_another() {
    let world = World::new();
    a_minute(&world, &world.layer().min_token_lifetime(secs(40)), secs(40)).await;
    let renewals = world.fake.count(Endpoint::Tokens);
    assert!((2..=4).contains(&renewals), "{renewals}");
    a_minute(&world, &world.layer().organization("acme").unwrap(), secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn k2_tokens_shorter_than_min_token_lifetime_are_misconfigured() {
    let world = World::with(|fake| fake.token_life(secs(8)), |engine| engine);
    let response = ask(&world.layer().min_token_lifetime(secs(9)), basic(JANE)).await;
    assert_eq!(code(&response), RejectionKind::Misconfigured.code());
    assert_eq!(ask(&world.layer(), basic(JANE)).await.status(), 200, "other routes are not affected");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k2_no_entry_outlives_session_ttl() {
    for jitter in 0..20 {
        let world = World::with(
            |fake| fake,
            |engine| engine.session_ttl(secs(600)).jitter_seed(jitter).sign_in_wait(secs(60)),
        );
        assert_eq!(world.get(JANE).await.status(), 200);
        world.fake.set_password("jane", "a new one since then");
        // The entry lives for at least nine tenths of `session_ttl`, and never for longer than the whole.
        tokio::time::advance(secs(539)).await;
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
        tokio::time::advance(secs(61)).await;
        assert_eq!(world.get(JANE).await.status(), 401, "seed {jitter}");
        // The new password works at once (rule K6).
        assert_eq!(world.get((JANE.0, "a new one since then")).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn k2_no_entry_outlives_its_session_at_clerk() {
    let world = World::with(|fake| fake.session_life(secs(100)), |engine| engine);
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(secs(100)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    assert_eq!(world.fake.count(Endpoint::Tokens), 0, "the end of the session is known without a call");
}

#[tokio::test(start_paused = true)]
async fn k4_a_request_whose_session_was_revoked_at_clerk_signs_in_once() {
    let world = World::new();
    let first = world.get(JANE).await;
    assert!(world.fake.revoke_session(session(&first).session_id()));
    // The token is valid to its end, because a JWT cannot be revoked.
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(secs(60)).await;
    let again = world.get(JANE).await;
    assert_ne!(session(&again).session_id(), session(&first).session_id());
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    assert_eq!(world.fake.live_sessions_of("jane"), 1);
}

#[tokio::test(start_paused = true)]
async fn k4_a_session_that_is_gone_is_noticed_by_any_route() {
    for organization in ["acme", "globex", "late"] {
        let world = World::new();
        let first = world.get(JANE).await;
        world.fake.add_organization(tower_clerk::testing::FakeOrganization::new("late"));
        world.fake.add_member("jane", "late", "org:member");
        world.fake.revoke_session(session(&first).session_id());
        let response = world.get_for(JANE, organization).await;
        assert_eq!(organization_of(&response), Some(organization));
        assert_eq!(world.fake.count(Endpoint::SignIns), 2);
        // The old session's personal token was dropped with it.
        assert_eq!(session(&world.get(JANE).await).session_id(), session(&response).session_id());
    }
}

#[tokio::test(start_paused = true)]
async fn k4_the_sign_in_that_follows_runs_once_and_its_refusal_is_final() {
    let world = World::new();
    let first = world.get(JANE).await;
    world.fake.set_password("jane", "a new one since then");
    world.fake.revoke_session(session(&first).session_id());
    tokio::time::advance(secs(60)).await;
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);

    // Sessions that are gone as soon as they are opened are an upstream error, and not a reason for a loop.
    let world = World::new();
    world
        .fake
        .script_always(Endpoint::Tokens, Fault::StatusWithCode(401, "authentication_invalid".to_owned()));
    assert_eq!(code(&world.get_for(BOB, "acme").await), "upstream_unavailable");
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn k4_a_banned_user_is_rejected_at_the_tokens_end() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.ban("jane");
    tokio::time::advance(secs(60)).await;
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
}

#[tokio::test(start_paused = true)]
async fn s3_the_expired_token_is_sent_to_an_instance_that_requires_it() {
    let world = World::with(|fake| fake.session_minter(true), |engine| engine);
    let first = world.get(JANE).await;
    tokio::time::advance(secs(60)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    let mints = world.fake.requests_to(Endpoint::Tokens);
    assert_eq!(mints.iter().map(|mint| mint.status().unwrap().as_u16()).collect::<Vec<_>>(), [422, 200]);
    assert_eq!(mints[1].query("expired_token"), Some(session(&first).token()));
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A layer whose wall clock is off by so many seconds from Clerk's.
fn off_by(
    fake: &FakeClerk,
    off: i64,
    change: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
) -> ClerkBasicAuthLayer {
    let now = SystemTime::UNIX_EPOCH + secs(1_900_000_000);
    let shift = Duration::from_secs(off.unsigned_abs());
    let clock = Clock::starting_at(if off < 0 { now - shift } else { now + shift });
    ClerkBasicAuthLayer::new(change(builder(fake, clock)).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn k2_a_wrong_wall_clock_neither_shortens_nor_extends_a_life() {
    for off in [-86_400, -3_600, -59, 0, 59, 3_600, 86_400 * 400] {
        let world = World::with(|fake| fake.session_life(secs(600)), |engine| engine);
        let layer = off_by(&world.fake, off, |engine| engine);
        for second in 0..60 {
            let response = ask(&layer, basic(JANE)).await;
            assert!(left(&response, world.clock) >= secs(10), "{off}: {second}");
            // The token is renewed in its last quarter at the earliest.
            let renewals = world.fake.count(Endpoint::Tokens);
            assert_eq!(renewals.min(1), renewals, "{off}");
            assert!(second > 44 - 5 || renewals == 0, "{off}: renewed after {second} s");
            tokio::time::advance(secs(1)).await;
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "{off}");
        // The life of the session is not changed either.
        tokio::time::advance(secs(540)).await;
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::SignIns), 2, "{off}");
    }
}

#[tokio::test(start_paused = true)]
async fn k2_the_duration_of_a_call_is_subtracted_from_the_tokens_life() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::DelayAnswer(secs(4)));
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200);
    // 46 s later, 50 s after the mint, the token has 10 s left. A moment later it is no longer passed on.
    tokio::time::advance(secs(46) + Duration::from_millis(1)).await;
    assert!(left(&world.get(JANE).await, world.clock) >= secs(10));
}

#[tokio::test(start_paused = true)]
async fn k2_a_wrong_clock_at_clerk_changes_no_token_life() {
    for skew in [-3_600, 3_600] {
        let world = World::with(|fake| fake.clock_skew(skew), |engine| engine);
        for _ in 0..120 {
            assert_eq!(world.get(JANE).await.status(), 200, "{skew}");
            assert_eq!(world.get_for(JANE, "acme").await.status(), 200, "{skew}");
            tokio::time::advance(secs(1)).await;
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
        let renewals = world.fake.count(Endpoint::Tokens);
        assert!((4..=6).contains(&renewals), "{skew}: {renewals}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_deleted_user_is_rejected_at_the_tokens_end() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.delete_user("jane");
    tokio::time::advance(secs(60)).await;
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
}

/// Clerk truncates its times to whole seconds: a token minted half a second after `iat` lives for half a second less
/// than `exp - Date` says.
#[tokio::test(start_paused = true)]
async fn k2_the_truncation_of_clerks_times_extends_no_life() {
    for (layer_life, least) in [(None, Duration::from_millis(1_600)), (Some(secs(5)), secs(5))] {
        let world = World::with(|fake| fake.token_life(secs(8)), |engine| engine);
        let layer = match layer_life {
            Some(life) => world.layer().min_token_lifetime(life),
            None => world.layer(),
        };
        for _ in 0..600 {
            let response = ask(&layer, basic(JANE)).await;
            let left = left(&response, world.clock);
            assert!(left >= least, "{left:?} left of the token, expected at least {least:?}");
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s6_a_session_that_is_gone_and_the_sign_in_after_it_share_one_deadline() {
    let world = World::new();
    let first = world.get(JANE).await;
    world.fake.revoke_session(session(&first).session_id());
    tokio::time::advance(secs(60)).await;
    world.fake.script(Endpoint::Tokens, Fault::Delay(secs(4)));
    world.fake.script(Endpoint::SignIns, Fault::Delay(secs(4)));
    let start = world.clock.now();
    let response = world.get(JANE).await;
    let took = world.clock.now() - start;
    assert!(took <= secs(5), "{} after {took:?}", response.status());
}

/// A requirement of one layer is not remembered for the other layers of the session.
#[tokio::test(start_paused = true)]
async fn k2_an_unreachable_min_token_lifetime_affects_only_its_layer() {
    let world = World::with(|fake| fake, |engine| engine.negative_ttl(secs(120)));
    let greedy = world.layer().min_token_lifetime(secs(70));
    for _ in 0..10 {
        assert_eq!(code(&ask(&greedy, basic(JANE)).await), "misconfigured");
    }
    assert!(
        world.fake.count(Endpoint::Tokens) <= 1,
        "not one mint per request: {}",
        world.fake.count(Endpoint::Tokens)
    );
    tokio::time::advance(secs(61)).await;
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200, "{:?}", crate::common::rejection(&response));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s3_an_unknown_answer_to_a_mint_is_remembered_and_warned_about_once() {
    for unknown in ["requires_captcha", "a_code_of_tomorrow"] {
        let world = World::new();
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::advance(secs(61)).await;
        world.fake.script_always(Endpoint::Tokens, Fault::StatusWithCode(401, unknown.to_owned()));
        let log = crate::common::logged(async {
            for _ in 0..50 {
                assert_eq!(code(&world.get(JANE).await), "upstream_unavailable", "{unknown}");
                tokio::time::sleep(secs(1)).await;
            }
        })
        .await;
        assert!(world.fake.count(Endpoint::Tokens) <= 5, "{unknown}: {}", world.fake.count(Endpoint::Tokens));
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        world.fake.clear_script(Endpoint::Tokens);
        tokio::time::sleep(secs(10)).await;
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    }
}
