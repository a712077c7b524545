//! Assertions of a provider as `Bearer` (rule B8).

use std::time::Duration;

use tower_clerk::federation::{Provider, WorkloadRule};
use tower_clerk::testing::{AssertionFlaw, Endpoint, FakeIssuer, FakeUser};
use tower_clerk::{BearerTokens, ClerkBasicAuthLayer, ClerkSession};

use super::{ACCEPTED, EXPIRED, FORBIDDEN, REFUSED, SECOND, bearer, jane, refusal, status};
use crate::common::{JANE, World, ask, basic, logged};

const CI: &str = "https://ci.example";
const OTHER: &str = "https://other.example";
const AUDIENCE: &str = "https://api.acme.example";
const JOB: &str = "repo:acme/app:ref:refs/heads/main";
const HOUR: Duration = Duration::from_secs(3600);

/// An engine with two providers of jobs, both of which act as `build-bot`.
fn world() -> (World, [FakeIssuer; 2]) {
    let issuers = [CI, OTHER].map(FakeIssuer::new);
    let provided = issuers.clone();
    let world = World::backend_with(
        |fake| fake.no_rate_limit(),
        move |engine| {
            provided.into_iter().fold(engine, |engine, issuer| {
                let rule = WorkloadRule::new(JOB, "user_bot");
                let provider = Provider::oidc(issuer.issuer()).audience(AUDIENCE).rule(rule);
                engine.provider(provider.transport(issuer))
            })
        },
    );
    world.fake.add_user(FakeUser::new("build-bot").id("user_bot"));
    world.fake.add_member("user_bot", "acme", "org:member");
    let issuers = issuers.map(|issuer| issuer.clock(world.fake.clock()));
    (world, issuers)
}

/// A layer that accepts the jobs of the first provider.
fn accepting(world: &World) -> ClerkBasicAuthLayer {
    world.layer().accept_bearer(BearerTokens::new().provider(CI)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn b8_an_assertion_of_a_provider_that_the_layer_accepts_is_let_in_as_the_user_of_its_rule() {
    let (world, [ci, _]) = world();
    let layer = accepting(&world).authorization_header(tower_clerk::AuthorizationHeader::Bearer).unwrap();
    let response = ask(&layer, bearer(&ci.assertion(JOB, AUDIENCE).sign())).await;
    assert_eq!(response.body(), "user_bot");
    let session = response.extensions().get::<ClerkSession>().unwrap();
    assert_eq!(session.assurance().map(|assurance| assurance.provider()), Some(CI));
    assert!(session.via().is_some());
    // The service behind sees Clerk's token, as it does for a password.
    let seen = response.extensions().get::<crate::common::Seen>().unwrap();
    assert_eq!(seen.headers["authorization"], format!("Bearer {}", session.token()));
}

#[tokio::test(start_paused = true)]
async fn b8_an_assertion_is_refused_where_the_layer_does_not_accept_its_provider() {
    let (world, [ci, other]) = world();
    let assertion = other.assertion(JOB, AUDIENCE).sign();
    assert_eq!(status(&accepting(&world), &assertion).await, REFUSED);
    let plain = world.layer().accept_bearer(BearerTokens::new()).unwrap();
    assert_eq!(status(&plain, &ci.assertion(JOB, AUDIENCE).sign()).await, REFUSED);
    // Nor after a layer that accepts it has let it in.
    let both = world.layer().accept_bearer(BearerTokens::new().provider(CI).provider(OTHER)).unwrap();
    assert_eq!(status(&both, &assertion).await, ACCEPTED);
    assert_eq!(status(&accepting(&world), &assertion).await, REFUSED);
    assert_eq!(status(&plain, &assertion).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn b8_clerks_tokens_and_passwords_are_accepted_beside_assertions() {
    let (world, [ci, _]) = world();
    let layer = accepting(&world);
    assert_eq!(status(&layer, &jane(&world).sign()).await, ACCEPTED);
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    // A provider that signs what looks like Clerk's token is not Clerk.
    let claims = ci.assertion(JOB, AUDIENCE).claim("iss", world.fake.issuer()).claim("sid", "sess_1");
    assert_eq!(status(&layer, &claims.sign()).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn b8_a_refused_assertion_says_why_and_opens_nothing() {
    let (world, [ci, other]) = world();
    let layer = accepting(&world);
    let job = || ci.assertion(JOB, AUDIENCE);
    assert_eq!(status(&layer, &job().skew(-3600).sign()).await, EXPIRED);
    for (what, assertion) in [
        ("unsigned", job().flaw(AssertionFlaw::AlgNone).sign()),
        ("of another's key", other.assertion(JOB, AUDIENCE).claim("iss", CI).sign()),
        ("for another service", ci.assertion(JOB, "https://elsewhere.example").sign()),
        ("of an unmapped job", ci.assertion("repo:acme/app:ref:refs/heads/other", AUDIENCE).sign()),
    ] {
        let response = ask(&layer, bearer(&assertion)).await;
        assert_eq!(status(&layer, &assertion).await, REFUSED, "{what}: {:?}", refusal(&response));
        let challenge = super::challenges(&response).join(", ");
        assert!(challenge.contains(r#"Bearer realm="api", error="invalid_token""#), "{what}: {challenge}");
    }
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn b8_an_assertion_is_one_sign_in_until_it_expires() {
    let (world, [ci, _]) = world();
    let layer = accepting(&world);
    let assertion = ci.assertion(JOB, AUDIENCE).life(HOUR).sign();
    for _ in 0..59 {
        assert_eq!(status(&layer, &assertion).await, ACCEPTED);
        tokio::time::advance(60 * SECOND).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignInTokens), 1);
    tokio::time::advance(125 * SECOND).await;
    assert_eq!(status(&layer, &assertion).await, EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn b8_the_organization_is_that_of_the_layer() {
    let (world, [ci, _]) = world();
    let assertion = ci.assertion(JOB, AUDIENCE).sign();
    for (organization, expected) in [("acme", ACCEPTED), ("globex", FORBIDDEN), ("acme", ACCEPTED)] {
        let layer = accepting(&world).organization(organization).unwrap();
        assert_eq!(status(&layer, &assertion).await, expected, "{organization}");
    }
}

#[tokio::test(start_paused = true)]
async fn b8_a_revocation_ends_what_an_assertion_has_opened() {
    let (world, [ci, _]) = world();
    let layer = accepting(&world);
    let assertion = ci.assertion(JOB, AUDIENCE).life(HOUR).sign();
    assert_eq!(status(&layer, &assertion).await, ACCEPTED);
    world.fake.ban("user_bot");
    world.clerk.revoke_user("user_bot");
    assert_eq!(status(&layer, &assertion).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn b8_a_layer_accepts_only_providers_of_its_engine() {
    let (world, _) = world();
    let tokens = BearerTokens::new().provider("https://unknown.example");
    let error = world.layer().accept_bearer(tokens).unwrap_err();
    assert!(error.to_string().contains("https://unknown.example"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn b8_no_log_shows_an_assertion() {
    let (world, [ci, _]) = world();
    let layer = accepting(&world);
    let right = ci.assertion(JOB, AUDIENCE).sign();
    let wrong = ci.assertion(JOB, AUDIENCE).flaw(AssertionFlaw::BadSignature).sign();
    let text = logged(async {
        for assertion in [&right, &wrong] {
            ask(&layer, bearer(assertion)).await;
        }
    })
    .await;
    assert!(text.contains("credentials_rejected"), "{text}");
    for part in [&right, &wrong].into_iter().flat_map(|assertion| assertion.split('.').skip(1)) {
        assert!(!text.contains(part), "{text}");
    }
}
