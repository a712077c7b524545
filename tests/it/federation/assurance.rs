//! A session tells of its assertion, and its proof lasts no longer (rule X4).

use std::time::SystemTime;

use serde_json::json;
use tower_clerk::federation::Assertion;
use tower_clerk::{Access, Credentials, RejectionKind};

use super::{API, CI, Federated, HOUR, JOB, LOGIN, MINUTE, NONCE, Outcome, PORTAL, SECOND, jobs, people};
use crate::common::JANE;

#[tokio::test(start_paused = true)]
async fn x4_a_session_says_what_its_provider_vouches_for() {
    let setup = Federated::new();
    let at = setup.world.clock.unix() - 120;
    let ada = setup.login.assertion("ada-7", PORTAL).claim("nonce", NONCE);
    let ada = ada.claim("amr", json!(["pwd", "mfa"])).claim("acr", "2").claim("auth_time", at).sign();
    let session = setup.exchange(&Assertion::new(ada).nonce(NONCE)).await.unwrap();
    let assurance = session.assurance().unwrap();
    assert_eq!((assurance.provider(), assurance.subject()), (LOGIN, "ada-7"));
    assert_eq!((assurance.amr().collect::<Vec<_>>(), assurance.acr()), (vec!["pwd", "mfa"], Some("2")));
    let since = assurance.auth_time().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((since.as_secs(), assurance.is_workload()), (at, false));
    assert!(!format!("{assurance:?} {session:?}").contains("ada-7"));

    let session = setup.exchange(&setup.job()).await.unwrap();
    let assurance = session.assurance().unwrap();
    assert_eq!((assurance.provider(), assurance.subject(), assurance.is_workload()), (CI, JOB, true));
    assert_eq!((assurance.amr().count(), assurance.acr(), assurance.auth_time()), (0, None, None));

    let jane = Credentials::new(JANE.0, JANE.1).unwrap();
    let session = setup.clerk().authenticate(&jane, &Access::new()).await.unwrap();
    assert!(session.assurance().is_none());
}

#[tokio::test(start_paused = true)]
async fn x4_an_old_authentication_is_no_fresh_proof_though_its_assertion_is_new_here() {
    let setup = Federated::new();
    let age = |session: &tower_clerk::ClerkSession| session.proven_at().unwrap().elapsed();
    let job = Assertion::new(setup.ci.assertion(JOB, API).life(HOUR).skew(-1800).sign());
    let session = setup.exchange(&job).await.unwrap();
    assert!(age(&session) > 29 * MINUTE, "{:?}", age(&session));
    let at = setup.world.clock.unix() - 3600;
    let ada = setup.login.assertion("ada-7", PORTAL).claim("nonce", NONCE).claim("auth_time", at).sign();
    let session = setup.exchange(&Assertion::new(ada).nonce(NONCE)).await.unwrap();
    assert!(age(&session) > 59 * MINUTE, "{:?}", age(&session));
    // The provider may hold a session of hers from days ago, and doesn't say so.
    let session = setup.exchange(&setup.ada()).await.unwrap();
    assert_eq!(session.proven_at(), None);
}

#[tokio::test(start_paused = true)]
async fn x4_the_proof_ends_with_the_assertion_or_earlier_if_it_is_set() {
    let setup = Federated::with(people(), jobs().proof_ttl(MINUTE));
    let job = Assertion::new(setup.ci.assertion(JOB, API).life(10 * MINUTE).sign());
    assert_eq!(setup.outcome(&job).await, Outcome::of("user_bot"));
    tokio::time::advance(MINUTE - SECOND).await;
    assert_eq!((setup.outcome(&job).await, setup.look_ups()), (Outcome::of("user_bot"), 1));
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(
        (setup.outcome(&job).await, setup.look_ups()),
        (Outcome::of("user_bot"), 2),
        "looked up again"
    );
    assert_eq!(setup.tickets(), 1, "the session goes on");
    let longer = Federated::with(people(), jobs().proof_ttl(10 * HOUR));
    let job = Assertion::new(longer.ci.assertion(JOB, API).life(MINUTE).sign());
    assert_eq!(longer.outcome(&job).await, Outcome::of("user_bot"));
    // Within the leeway. It mints a token that outlives the assertion, which must not be served from then on.
    tokio::time::advance(MINUTE + 30 * SECOND).await;
    assert_eq!(longer.outcome(&job).await, Outcome::of("user_bot"));
    tokio::time::advance(31 * SECOND).await;
    assert_eq!(longer.outcome(&job).await, Outcome::refused("the assertion has expired"));
}

#[tokio::test(start_paused = true)]
async fn x4_the_organization_is_that_of_the_access() {
    let setup = Federated::new();
    let job = setup.job();
    let session = setup.clerk().exchange(&job, &Access::new().organization("acme")).await.unwrap();
    assert_eq!(session.organization().and_then(|organization| organization.slug()), Some("acme"));
    for organization in ["globex", "nonesuch", "not a slug"] {
        let rejection =
            setup.clerk().exchange(&job, &Access::new().organization(organization)).await.unwrap_err();
        assert_eq!(rejection.kind(), RejectionKind::OrganizationForbidden, "{organization}");
    }
    assert_eq!(setup.outcome(&job).await, Outcome::of("user_bot"), "and for the personal account");
}
