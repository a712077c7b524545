//! Revocations reach tokens that clients hold (rule B5).

use std::time::Duration;

use tower_clerk::testing::Endpoint;
use tower_clerk::{Clerk, Credentials};

use super::{ACCEPTED, FORBIDDEN, JANE_ID, REVOKED, SECOND, accepting, bearer, jane, refusal, status};
use crate::common::{BOB, JANE, World, ask, basic, code, run_ready_tasks, session};

#[tokio::test(start_paused = true)]
async fn b5_each_revocation_refuses_the_tokens_that_were_issued_before() {
    type Revoke = fn(&Clerk, &str, &str, &str);
    let revocations: [(&str, Revoke, [bool; 4]); 7] = [
        ("user", |clerk, user, _, _| clerk.revoke_user(user), [true, true, true, false]),
        ("session", |clerk, _, session, _| clerk.revoke_session(session), [true, true, false, false]),
        ("organization", |clerk, _, _, org| clerk.revoke_organization(org), [false, true, true, false]),
        ("membership", |clerk, user, _, org| clerk.revoke_membership(user, org), [false, true, true, false]),
        ("ended session", |clerk, _, session, _| clerk.drop_session(session), [true, true, false, false]),
        ("long-lived", |clerk, _, _, _| clerk.drop_long_lived_tokens(), [true, true, true, true]),
        ("all", |clerk, _, _, _| clerk.revoke_all(), [true, true, true, true]),
    ];
    for (name, revoke, revoked) in revocations {
        let world = World::new();
        assert_eq!(world.get(JANE).await.status(), 200, "an answer tells Clerk's time");
        let (plain, acme) = (accepting(&world), accepting(&world).organization("acme").unwrap());
        let (one, two) = (jane(&world).life(300 * SECOND), jane(&world).life(300 * SECOND));
        let bob = world.fake.token(&world.fake.open_session(BOB.0)).life(300 * SECOND);
        let tokens = || {
            [
                (&plain, one.sign()),
                (&acme, one.clone().organization("acme").sign()),
                (&acme, two.clone().organization("acme").sign()),
                (&plain, bob.sign()),
            ]
        };
        let (cached, new) = (tokens(), tokens());
        for (layer, jwt) in &cached {
            assert_eq!(status(layer, jwt).await, ACCEPTED);
        }
        let response = ask(&acme, bearer(&cached[1].1)).await;
        let one = session(&response);
        let organization = one.organization().unwrap().id();
        revoke(&world.clerk, one.user_id(), one.session_id(), organization);
        // Those in the cache, and those that the engine has never seen. Twice, since the first request drops it there.
        for ((layer, jwt), is_revoked) in cached.iter().chain(&new).zip(revoked.iter().cycle()) {
            for _ in 0..2 {
                let expected = if *is_revoked { REVOKED } else { ACCEPTED };
                assert_eq!(status(layer, jwt).await, expected, "{name}");
            }
        }
        let detail = ask(new[1].0, bearer(&new[1].1)).await;
        assert_eq!(refusal(&detail).2, "the token has been revoked");
        // A new token is accepted as soon as it is certainly newer than the revocation.
        tokio::time::advance(5 * SECOND).await;
        assert_eq!(status(&acme, &tokens()[1].1).await, REVOKED, "{name}");
        tokio::time::advance(SECOND).await;
        for (layer, jwt) in tokens() {
            assert_eq!(status(layer, &jwt).await, ACCEPTED, "{name}");
        }
        tokio::time::advance(200 * SECOND).await;
        for ((layer, jwt), is_revoked) in cached.iter().zip(revoked) {
            assert_eq!(status(layer, jwt).await, if is_revoked { REVOKED } else { ACCEPTED }, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b5_a_revocation_reaches_a_verification_that_is_under_way() {
    let world = World::new();
    let jwt = jane(&world).sign();
    let hold = world.fake.hold(Endpoint::Jwks);
    let waiting = tokio::spawn({
        let (layer, jwt) = (accepting(&world), jwt.clone());
        async move { status(&layer, &jwt).await }
    });
    run_ready_tasks().await;
    let user = world.fake.sessions()[0].user_id().to_owned();
    world.clerk.revoke_user(&user);
    hold.release();
    assert_eq!(waiting.await.unwrap(), REVOKED);
    assert_eq!(world.clerk.stats().verified_tokens, 0);
    assert_eq!(status(&accepting(&world), &jwt).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn b5_a_sign_out_reaches_the_tokens_of_its_session() {
    let world = World::new();
    let layer = accepting(&world);
    let own = session(&ask(&layer, basic(JANE)).await).token().to_owned();
    let browser = jane(&world).sign();
    assert_eq!((status(&layer, &own).await, status(&layer, &browser).await), (ACCEPTED, ACCEPTED));
    world.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
    assert_eq!((status(&layer, &own).await, status(&layer, &browser).await), (REVOKED, ACCEPTED));
}

/// Until an answer of Clerk's has told its time, this machine's clock may be wrong by more.
#[tokio::test(start_paused = true)]
async fn b5_without_a_date_of_clerks_tokens_of_a_minute_are_refused() {
    let world = World::new();
    let layer = accepting(&world);
    world.clerk.revoke_all();
    let after = async |seconds: u32| {
        tokio::time::advance(seconds * SECOND).await;
        status(&layer, &jane(&world).sign()).await
    };
    assert_eq!((after(0).await, after(60).await, after(1).await), (REVOKED, REVOKED, ACCEPTED));
}

#[tokio::test(start_paused = true)]
async fn b5_a_templates_token_is_reached_by_user_and_organization() {
    let world = World::new();
    let claims = serde_json::json!({"aud": "p", "org_id": "org_1"});
    world.fake.add_template("partner", 60 * SECOND, claims.as_object().unwrap().clone());
    let tokens = || tower_clerk::BearerTokens::new().template("partner", "p");
    let layer = world.layer().accept_bearer(tokens()).unwrap().organization("org_1").unwrap();
    let jwt = world.fake.token(&world.fake.open_session(JANE_ID)).template("partner").sign();
    assert_eq!(status(&layer, &jwt).await, ACCEPTED);
    assert_eq!(status(&world.layer().accept_bearer(tokens()).unwrap(), &jwt).await, FORBIDDEN);
    world.clerk.revoke_organization("org_1");
    assert_eq!(status(&layer, &jwt).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn b5_after_shutdown_no_token_is_accepted() {
    let world = World::new();
    let layer = accepting(&world);
    let (held, new) = (jane(&world).sign(), jane(&world).sign());
    assert_eq!(status(&layer, &held).await, ACCEPTED);
    world.clerk.shutdown(Duration::from_secs(1)).await;
    for jwt in [held, new] {
        assert_eq!(code(&ask(&layer, bearer(&jwt)).await), "upstream_unavailable");
    }
    // Nor is one that was issued so long after it that no revocation reaches it.
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(code(&ask(&layer, bearer(&jane(&world).sign())).await), "upstream_unavailable");
}

#[tokio::test(start_paused = true)]
async fn b5_a_shutdown_reaches_a_verification_that_is_under_way() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::Jwks);
    let waiting = tokio::spawn({
        let (layer, jwt) = (accepting(&world), jane(&world).sign());
        async move { code(&ask(&layer, bearer(&jwt)).await).to_owned() }
    });
    run_ready_tasks().await;
    world.clerk.shutdown(Duration::from_secs(1)).await;
    hold.release();
    assert_eq!(waiting.await.unwrap(), "upstream_unavailable");
    assert_eq!(world.clerk.stats().verified_tokens, 0);
}
