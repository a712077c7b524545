//! A provider's keys: where they come from, and their rotation (rule X1).

use serde_json::json;
use tower_clerk::RejectionKind;
use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::testing::{FakeIssuer, IssuerDocument, IssuerFault};

use super::{API, CI, Federated, HOUR, JOB, MINUTE, Outcome, SECOND, jobs, people};

const UNKNOWN_KEY: &str = "the provider has no key with the assertion's key id";

fn is_unavailable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(RejectionKind::UpstreamUnavailable, _))
}

#[tokio::test(start_paused = true)]
async fn x1_a_rotated_key_is_fetched_when_its_first_assertion_arrives() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    setup.ci.rotate_keys();
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    assert_eq!(setup.ci.count(IssuerDocument::Keys), 2);
    // The one before stays good for as long as the provider shows it.
    let old = Assertion::new(setup.ci.assertion(JOB, API).life(HOUR).sign());
    let retired_kid = setup.ci.kid();
    setup.ci.rotate_keys();
    setup.ci.retire_old_keys();
    assert_eq!(setup.outcome(&old).await, Outcome::of("user_bot"), "its key is held");
    tokio::time::advance(31 * SECOND).await;
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    let retired = setup.ci.assertion(JOB, API).header("kid", retired_kid).sign();
    assert_eq!(setup.outcome(&Assertion::new(retired)).await, Outcome::refused(UNKNOWN_KEY));
}

#[tokio::test(start_paused = true)]
async fn x1_made_up_keys_cause_a_fetch_in_thirty_seconds() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    for number in 0..100 {
        let jwt = setup.ci.assertion(JOB, API).header("kid", format!("made-up-{number}")).sign();
        assert_eq!(setup.outcome(&Assertion::new(jwt)).await, Outcome::refused(UNKNOWN_KEY));
        tokio::time::advance(SECOND / 10).await;
    }
    assert_eq!(setup.ci.count(IssuerDocument::Keys), 2);
    assert_eq!(setup.look_ups(), 1);
}

#[tokio::test(start_paused = true)]
async fn x1_a_discovery_document_that_lies_brings_no_key() {
    for (what, document, fault) in [
        (
            "another issuer",
            IssuerDocument::Discovery,
            IssuerFault::Members(json!({"issuer": "https://evil.example"})),
        ),
        (
            "keys without TLS",
            IssuerDocument::Discovery,
            IssuerFault::Members(json!({"jwks_uri": "http://ci.example/jwks"})),
        ),
        (
            "keys of another host",
            IssuerDocument::Discovery,
            IssuerFault::Members(json!({"jwks_uri": "https://evil.example/jwks"})),
        ),
        ("no address", IssuerDocument::Discovery, IssuerFault::Members(json!({"jwks_uri": null}))),
        ("a redirect", IssuerDocument::Discovery, IssuerFault::Redirect("https://evil.example".into())),
        (
            "a redirect of the keys",
            IssuerDocument::Keys,
            IssuerFault::Redirect("https://evil.example".into()),
        ),
        ("an error", IssuerDocument::Keys, IssuerFault::Status(500)),
        ("no JSON", IssuerDocument::Keys, IssuerFault::NotJson),
        ("no keys", IssuerDocument::Keys, IssuerFault::Members(json!({"keys": []}))),
        ("too much", IssuerDocument::Keys, IssuerFault::Padded(2 * 1024 * 1024)),
        ("no answer", IssuerDocument::Keys, IssuerFault::Hang),
        ("a closed connection", IssuerDocument::Discovery, IssuerFault::Reset),
    ] {
        let setup = Federated::new();
        setup.ci.set_fault(document, fault);
        let outcome = setup.outcome(&setup.job()).await;
        assert!(is_unavailable(&outcome), "{what}: {outcome:?}");
        assert_eq!((setup.look_ups(), setup.tickets()), (0, 0), "{what}");
        setup.ci.set_fault(document, None);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn x1_keys_that_are_held_survive_an_outage_of_the_provider() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    setup.ci.set_fault(IssuerDocument::Keys, IssuerFault::Status(503));
    for _ in 0..6 {
        tokio::time::advance(HOUR).await;
        assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    }
    tokio::time::advance(24 * HOUR).await;
    assert!(is_unavailable(&setup.outcome(&setup.job()).await));
}

#[tokio::test(start_paused = true)]
async fn x1_a_key_set_by_address_needs_no_discovery() {
    let setup = Federated::with(people(), jobs().key_set_url("https://ci.example/jwks"));
    setup.ci.set_fault(IssuerDocument::Discovery, IssuerFault::Status(404));
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    assert_eq!((setup.ci.count(IssuerDocument::Discovery), setup.ci.count(IssuerDocument::Keys)), (0, 1));
}

#[tokio::test]
async fn x1_a_key_set_in_a_file_is_read_again_for_a_new_key() {
    let issuer = FakeIssuer::new(CI);
    let path = std::env::temp_dir().join(format!("tower-clerk-keys-{}.json", std::process::id()));
    let write = async || {
        let request = http::Request::get("https://ci.example/jwks").body(bytes::Bytes::new()).unwrap();
        std::fs::write(&path, issuer.handle(request).await.unwrap().body()).unwrap();
    };
    write().await;
    let rule = WorkloadRule::new(JOB, "user_bot");
    let provider = Provider::oidc(CI).audience(API).rule(rule).key_set_file(&path);
    let world = crate::common::World::backend_with(
        |fake| fake.no_rate_limit(),
        |engine| engine.unlimited_sign_ins().provider(provider),
    );
    world.fake.add_user(tower_clerk::testing::FakeUser::new("build-bot").id("user_bot"));
    let issuer_on_clock = issuer.clone().clock(world.fake.clock());
    let exchange = async || {
        let job = Assertion::new(issuer_on_clock.assertion(JOB, API).life(5 * MINUTE).sign());
        world
            .clerk
            .exchange(&job, &tower_clerk::Access::new())
            .await
            .map(|session| session.user_id().to_owned())
    };
    assert_eq!(exchange().await.unwrap(), "user_bot");
    issuer.rotate_keys();
    write().await;
    assert_eq!(exchange().await.unwrap(), "user_bot");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(exchange().await.unwrap(), "user_bot", "its key is held");
}
