//! The answer to a token: header fields, refusals, counts, and what the inner service sees (rules B6, B7, A5, O2).

use http::{Request, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, TokenFlaw};
use tower_clerk::{
    AuthorizationHeader, BearerRefusal, ClerkSession, OrganizationSelector, Rejection, RejectionKind,
    Requirement,
};

use super::{ACCEPTED, SECOND, accepting, bearer, challenges, jane, refusal, status};
use crate::common::{JANE, Seen, World, ask, basic, logged, me, with_authorization};

const BASIC: &str = r#"Basic realm="api", charset="UTF-8""#;

#[tokio::test(start_paused = true)]
async fn b6_a_401_has_a_line_for_each_scheme_and_an_error_only_for_a_refused_token() {
    let world = World::new();
    let layer = accepting(&world);
    let plain = r#"Bearer realm="api""#;
    for request in [Request::new(()), with_authorization("Digest x"), basic((JANE.0, "wrong"))] {
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), 401);
        assert_eq!(challenges(&response), [BASIC, plain]);
    }
    let response = ask(&layer, bearer(&jane(&world).flaw(TokenFlaw::Expired).sign())).await;
    let line = r#"Bearer realm="api", error="invalid_token", error_description="the token has expired""#;
    assert_eq!(challenges(&response), [BASIC, line]);

    for layer in [layer.clone().realm("the \"API\"").unwrap(), {
        let layer = world.layer().realm("the \"API\"").unwrap();
        layer.accept_bearer(tower_clerk::BearerTokens::new()).unwrap()
    }] {
        let response = ask(&layer, Request::new(())).await;
        let realm = r#"Bearer realm="the \"API\"""#;
        assert_eq!(challenges(&response)[1], realm);
    }
    assert_eq!(
        challenges(&ask(&world.layer(), Request::new(())).await),
        [BASIC],
        "not accepted, not offered"
    );
}

#[tokio::test(start_paused = true)]
async fn b1_a_layer_for_bearer_alone_takes_no_password_and_asks_for_none() {
    let world = World::new();
    let layer = world.layer().accept_bearer_only(tower_clerk::BearerTokens::new()).unwrap();
    for request in [Request::new(()), with_authorization("Digest x"), basic(JANE), basic((JANE.0, "wrong"))] {
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), 401);
        assert_eq!(challenges(&response), [r#"Bearer realm="api""#]);
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.kind(), RejectionKind::CredentialsMissing);
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(status(&layer, &jane(&world).sign()).await, ACCEPTED);

    let realm = layer.clone().realm("r").unwrap().no_prompt_for_fetch();
    assert_eq!(challenges(&ask(&realm, Request::new(())).await), [r#"Bearer realm="r""#]);

    // A password that the layer doesn't verify goes no further.
    let optional = layer.optional().layer(service_fn(async |request: Request<()>| {
        assert!(!request.headers().contains_key("authorization"));
        assert!(request.extensions().get::<ClerkSession>().is_none());
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    }));
    assert_eq!(optional.oneshot(basic(JANE)).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn b6_a_403_to_a_bearer_session_says_insufficient_scope_and_offers_no_password() {
    let world = World::new();
    let response = ask(&accepting(&world), bearer(&jane(&world).organization("acme").sign())).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(challenges(&response), [r#"Bearer realm="api", error="insufficient_scope""#]);
    // Also where the request names no organization, which is found out before the token is verified.
    let unnamed = accepting(&world).organization_by(OrganizationSelector::header("x-org")).unwrap();
    let response = ask(&unnamed, bearer(&jane(&world).sign())).await;
    assert_eq!(challenges(&response), [r#"Bearer realm="api", error="insufficient_scope""#]);
    let by_password = ask(&accepting(&world).organization("no-such").unwrap(), basic(JANE)).await;
    assert_eq!((by_password.status(), challenges(&by_password).len()), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test(start_paused = true)]
async fn b7_a_rejection_tells_expired_and_revoked_and_other_tokens_apart() {
    let world = World::new();
    let layer = accepting(&world);
    let revoked = jane(&world).sign();
    world.clerk.revoke_session(world.fake.sessions()[0].id());
    let flawed = |flaw| jane(&world).flaw(flaw).sign();
    for (jwt, expected, reason) in [
        (flawed(TokenFlaw::Expired), BearerRefusal::Expired, "the token has expired"),
        (revoked, BearerRefusal::Revoked, "the token has been revoked"),
        (flawed(TokenFlaw::BadSignature), BearerRefusal::Other, "the token's signature is wrong"),
    ] {
        let response = ask(&layer.clone().problem_json(), bearer(&jwt)).await;
        assert_eq!(refusal(&response), (401, Some(expected), reason));
        assert!(response.body().contains(&format!(r#""detail":"{reason}""#)), "{}", response.body());
    }
    let missing = ask(&layer, Request::new(())).await;
    assert_eq!(refusal(&missing).1, None);
}

#[tokio::test(start_paused = true)]
async fn o1_the_log_says_why_a_token_was_refused_and_shows_no_part_of_it() {
    let world = World::new();
    let jwts = [jane(&world).sign(), jane(&world).flaw(TokenFlaw::WrongIssuer).sign()];
    let log = logged(async {
        for jwt in &jwts {
            ask(&accepting(&world), bearer(jwt)).await;
        }
    })
    .await;
    assert!(log.contains("the token is from another issuer"), "{log}");
    for part in jwts.iter().flat_map(|jwt| jwt.split('.').skip(1)) {
        assert!(!log.contains(&part[..20]), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn o2_each_request_with_a_token_has_one_outcome() {
    let world = World::new();
    let layer = accepting(&world);
    let jwt = jane(&world).sign();
    for _ in 0..3 {
        assert_eq!(status(&layer, &jwt).await, ACCEPTED);
    }
    status(&layer, &jane(&world).flaw(TokenFlaw::Expired).sign()).await;
    status(&layer, "").await;
    status(&layer.clone().organization("acme").unwrap(), &jwt).await;
    let stats = world.clerk.stats();
    for (outcome, count) in [
        (Outcome::Verified, 1),
        (Outcome::Hit, 2),
        (Outcome::Rejected, 2),
        (Outcome::OrganizationForbidden, 1),
    ] {
        assert_eq!(stats.count(outcome), count, "{outcome:?}");
    }
    assert_eq!((stats.total(), stats.verified_tokens, stats.sessions), (6, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a5_the_field_of_a_bearer_request_is_stripped_kept_or_replaced_alike() {
    let world = World::new();
    let jwt = jane(&world).sign();
    let field = |jwt: &str| Some(format!("Bearer {jwt}"));
    for (policy, expected) in [
        (AuthorizationHeader::Strip, None),
        (AuthorizationHeader::Keep, field(&jwt)),
        (AuthorizationHeader::Bearer, field(&jwt)),
    ] {
        let layer = accepting(&world).authorization_header(policy).unwrap();
        for _ in ["verified", "held"] {
            let response = ask(&layer, bearer(&jwt)).await;
            let seen = response.extensions().get::<Seen>().unwrap().headers.get("authorization");
            assert_eq!(seen.map(|field| field.to_str().unwrap().to_owned()), expected, "{policy:?}");
            assert!(seen.is_none_or(http::HeaderValue::is_sensitive));
        }
    }
    // A token that nobody has verified doesn't reach the inner service of a layer that verifies tokens.
    let exempt = |layer: tower_clerk::ClerkBasicAuthLayer| layer.exempt(|_| true);
    for (layer, is_seen) in [(exempt(accepting(&world)), false), (exempt(world.layer()), true)] {
        let response = ask(&layer, bearer("made.up.token")).await;
        let seen = response.extensions().get::<Seen>().unwrap();
        assert_eq!((seen.is_anonymous, seen.headers.contains_key("authorization")), (true, is_seen));
    }
}

#[tokio::test(start_paused = true)]
async fn a6_an_optional_layer_rejects_a_refused_token() {
    let world = World::new();
    let layer = accepting(&world).optional();
    let jwt = jane(&world).sign();
    assert_eq!(ask(&layer, Request::new(())).await.body(), "nobody");
    assert_eq!(status(&layer, &jwt).await, ACCEPTED);
    tokio::time::advance(70 * SECOND).await;
    assert_eq!(refusal(&ask(&layer, bearer(&jwt)).await).1, Some(BearerRefusal::Expired));
    assert_eq!(refusal(&ask(&layer, bearer("x")).await).0, 401);
}

#[tokio::test(start_paused = true)]
async fn b6_a_guard_answers_a_bearer_session_insufficient_scope() {
    let world = World::new();
    let layer = accepting(&world).organization("acme").unwrap();
    let guard = layer.require(Requirement::new().role("org:owner")).unwrap();
    let guarded = layer.layer(guard.layer(service_fn(me)));
    let response = guarded.clone().oneshot(bearer(&jane(&world).organization("acme").sign())).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(challenges(&response), [r#"Bearer realm="api", error="insufficient_scope""#]);
    let by_password = guarded.oneshot(basic(JANE)).await.unwrap();
    assert_eq!((by_password.status(), challenges(&by_password).len()), (StatusCode::FORBIDDEN, 0));
}
