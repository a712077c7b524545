//! The verdict about an assertion, whoever its subject is (rule X1).

use serde_json::{Value, json};
use tower_clerk::federation::{Algorithm, Assertion};
use tower_clerk::testing::{AssertionFlaw, FakeAssertion, SigningAlgorithm};

use super::{API, Federated, HOUR, JOB, MINUTE, NONCE, Outcome, PORTAL, SECOND, jobs, people};
use crate::common::run_ready_tasks;

const AUDIENCE: &str = "the assertion was issued for another audience";
const PARTY: &str = "the assertion was issued to another party";
const EXPIRED: &str = "the assertion has expired";
const TOO_OLD: &str = "the assertion is too old";
const NOT_YET: &str = "the assertion is not valid yet";
const MALFORMED: &str = "the assertion is not a JWT of its provider's";
const SIGNATURE: &str = "the assertion's signature is wrong";
const ALGORITHM: &str = "the assertion is not signed with an algorithm of its provider";
const UNTRUSTED: &str = "the assertion is from no provider that is trusted here";
const LACKS: &str = "the assertion lacks a claim that it must have";
const USED: &str = "the assertion was used before";

impl Federated {
    /// The outcome of a job's assertion with a change.
    async fn job_with(&self, change: impl FnOnce(FakeAssertion) -> FakeAssertion) -> Outcome {
        let assertion = change(self.ci.assertion(JOB, API));
        self.outcome(&Assertion::new(assertion.sign())).await
    }
}

#[tokio::test(start_paused = true)]
async fn x1_an_assertion_is_exchanged_for_a_session_of_its_user() {
    let setup = Federated::new();
    let session = setup.exchange(&setup.job()).await.unwrap();
    assert_eq!((session.user_id(), session.organization().is_some()), ("user_bot", false));
    assert_eq!(setup.outcome(&setup.ada()).await, Outcome::of("user_ada"));
}

#[tokio::test(start_paused = true)]
async fn x1_an_assertion_of_another_issuer_or_audience_is_refused() {
    let setup = Federated::new();
    let claim = async |name: &str, value: Value| setup.job_with(|job| job.claim(name, value)).await;
    for issuer in ["https://ci.example/", "https://CI.example", "https://evil.example", ""] {
        assert_eq!(claim("iss", json!(issuer)).await, Outcome::refused(UNTRUSTED), "{issuer}");
    }
    // Another provider that is trusted signs for itself alone.
    let posing = setup.login.assertion(JOB, API).claim("iss", super::CI).sign();
    assert!(matches!(setup.outcome(&Assertion::new(posing)).await, Outcome::Rejected(_, Some(_))));
    for audience in [json!("https://api.acme.example/"), json!("other"), json!([]), json!(["other"])] {
        assert_eq!(claim("aud", audience.clone()).await, Outcome::refused(AUDIENCE), "{audience}");
    }
    assert_eq!(claim("aud", Value::Null).await, Outcome::refused(LACKS));
    assert_eq!(claim("aud", json!([API])).await, Outcome::of("user_bot"));
    assert_eq!(setup.look_ups(), 1, "Clerk was asked about the accepted one alone");
}

#[tokio::test(start_paused = true)]
async fn x1_an_assertion_for_several_audiences_names_us_as_its_party() {
    let setup = Federated::new();
    let both = json!([API, "https://other.example"]);
    for (party, outcome) in [
        (Value::Null, Outcome::refused(PARTY)),
        (json!("https://other.example"), Outcome::refused(PARTY)),
        (json!(7), Outcome::refused(PARTY)),
        (json!(API), Outcome::of("user_bot")),
    ] {
        let found = setup.job_with(|job| job.claim("aud", both.clone()).claim("azp", party.clone())).await;
        assert_eq!(found, outcome, "{party}");
    }
    // With a single audience, the party is another one's business, unless it is set.
    assert_eq!(setup.job_with(|job| job.claim("azp", "any")).await, Outcome::of("user_bot"));
    let set = Federated::with(people(), jobs().authorized_party("ours"));
    for (party, outcome) in [("any", Outcome::refused(PARTY)), ("ours", Outcome::of("user_bot"))] {
        assert_eq!(set.job_with(|job| job.claim("azp", party)).await, outcome, "{party}");
        assert_eq!(set.job_with(|job| job.claim("aud", both.clone()).claim("azp", party)).await, outcome);
    }
    assert_eq!(set.job_with(|job| job).await, Outcome::of("user_bot"));
}

#[tokio::test(start_paused = true)]
async fn x1_a_forged_assertion_is_refused() {
    let setup = Federated::new();
    for (flaw, detail) in [
        (AssertionFlaw::AlgNone, ALGORITHM),
        (AssertionFlaw::AlgHs256, ALGORITHM),
        (AssertionFlaw::ForeignKey, SIGNATURE),
        (AssertionFlaw::BadSignature, SIGNATURE),
        (AssertionFlaw::UnknownKid, "the provider has no key with the assertion's key id"),
    ] {
        assert_eq!(setup.job_with(|job| job.flaw(flaw)).await, Outcome::refused(detail), "{flaw:?}");
    }
    for flaw in [AssertionFlaw::OwnJwk, AssertionFlaw::OwnJku, AssertionFlaw::OwnX5c] {
        let found = setup.job_with(|job| job.flaw(flaw)).await;
        assert!(matches!(found, Outcome::Rejected(_, Some(_))), "{flaw:?}: {found:?}");
    }
    assert_eq!((setup.look_ups(), setup.world.fake.live_sessions()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn x1_what_is_signed_by_the_provider_and_is_no_assertion_is_refused() {
    let setup = Federated::new();
    for typ in ["at+jwt", "logout+jwt", "secevent+jwt", "jwt"] {
        let found = setup.job_with(|job| job.header("typ", typ)).await;
        assert_eq!(found, Outcome::refused("the assertion is a JWT of another type"), "{typ}");
    }
    assert_eq!(setup.job_with(|job| job.header("typ", Value::Null)).await, Outcome::of("user_bot"));
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let found = setup.job_with(|job| job.claim("events", logout)).await;
    assert_eq!(found, Outcome::refused("this is a security event, and no assertion"));
    let found = setup.job_with(|job| job.header("crit", json!(["exp"]))).await;
    assert_eq!(found, Outcome::refused(MALFORMED));
    for (name, value) in [("sub", json!("")), ("sub", json!(7)), ("sub", json!("a\nb")), ("iat", Value::Null)]
    {
        let found = setup.job_with(|job| job.claim(name, value.clone())).await;
        assert_eq!(found, Outcome::refused(LACKS), "{name} {value}");
    }
    for text in ["", "a.b", "a.b.c", "e30.e30.AA"] {
        assert_eq!(setup.outcome(&Assertion::new(text)).await, Outcome::refused(UNTRUSTED), "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x1_clocks_may_differ_by_a_minute_and_no_more() {
    let setup = Federated::new();
    for (skew, outcome) in [
        (30, Outcome::of("user_bot")),
        (60, Outcome::of("user_bot")),
        (61, Outcome::refused(NOT_YET)),
        (90, Outcome::refused(NOT_YET)),
        (-30, Outcome::of("user_bot")),
        (-359, Outcome::of("user_bot")),
        (-360, Outcome::refused(EXPIRED)),
        (-390, Outcome::refused(EXPIRED)),
    ] {
        assert_eq!(setup.job_with(|job| job.life(5 * MINUTE).skew(skew)).await, outcome, "{skew}");
        // The permits of the look-ups come back.
        tokio::time::advance(5 * SECOND).await;
    }
    let later = setup.world.clock.unix() + 90;
    assert_eq!(setup.job_with(|job| job.claim("nbf", later)).await, Outcome::refused(NOT_YET));
}

#[tokio::test(start_paused = true)]
async fn x1_an_assertion_that_expires_in_the_queue_has_expired() {
    let setup = Federated::new();
    // Two look-ups in a second are a quarter of the budget of an instance for development.
    for _ in 0..3 {
        assert_eq!(setup.job_with(|job| job).await, Outcome::of("user_bot"));
    }
    let start = setup.world.clock.now();
    let asked = setup.look_ups();
    assert_eq!(setup.job_with(|job| job.skew(-359)).await, Outcome::refused(EXPIRED));
    assert!(setup.world.clock.now() > start, "it had to wait");
    assert_eq!(setup.look_ups(), asked);
}

#[tokio::test(start_paused = true)]
async fn x1_each_algorithm_is_accepted_only_where_the_provider_has_it() {
    for (signed, own) in [
        (SigningAlgorithm::Rs256, Algorithm::Rs256),
        (SigningAlgorithm::Ps256, Algorithm::Ps256),
        (SigningAlgorithm::Es256, Algorithm::Es256),
    ] {
        for configured in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256] {
            let setup = Federated::with(people(), jobs().algorithms([configured]));
            setup.ci.rotate_to(signed);
            let outcome =
                if own == configured { Outcome::of("user_bot") } else { Outcome::refused(ALGORITHM) };
            assert_eq!(setup.job_with(|job| job).await, outcome, "{signed:?} {configured:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn x1_a_persons_assertion_is_fresh_and_has_the_nonce_of_its_sign_in() {
    let setup = Federated::new();
    let ada = |nonce: Value, skew: i64| {
        let assertion = setup.login.assertion("ada-7", PORTAL).life(HOUR).claim("nonce", nonce);
        Assertion::new(assertion.skew(skew).sign())
    };
    let other = Outcome::refused("the assertion's nonce is another one");
    for (assertion, outcome) in [
        (ada(json!(NONCE), 0).nonce("another"), other.clone()),
        (ada(Value::Null, 0).nonce(NONCE), other.clone()),
        (ada(json!([NONCE]), 0).nonce(NONCE), other.clone()),
        (
            ada(json!(NONCE), 0),
            Outcome::refused("the nonce of the sign-in is needed along with the assertion"),
        ),
        (ada(json!(NONCE), -659).nonce(NONCE), Outcome::of("user_ada")),
        (ada(json!(NONCE), -660).nonce(NONCE), Outcome::refused(TOO_OLD)),
    ] {
        assert_eq!(setup.outcome(&assertion).await, outcome);
    }
    let without = Federated::with(people().without_nonce(), jobs());
    let assertion = |nonce: Value| without.login.assertion("ada-7", PORTAL).claim("nonce", nonce).sign();
    assert_eq!(without.outcome(&Assertion::new(assertion(json!(NONCE)))).await, Outcome::of("user_ada"));
    assert_eq!(without.outcome(&Assertion::new(assertion(Value::Null))).await, Outcome::of("user_ada"));
    assert_eq!(without.outcome(&Assertion::new(assertion(json!(NONCE))).nonce("another")).await, other);
}

#[tokio::test(start_paused = true)]
async fn x1_a_persons_assertion_is_used_once() {
    let setup = Federated::new();
    let ada = setup.ada();
    assert_eq!(setup.outcome(&ada).await, Outcome::of("user_ada"));
    assert_eq!(setup.outcome(&ada).await, Outcome::refused(USED));
    assert_eq!(
        setup.outcome(&ada.clone().nonce("another")).await,
        Outcome::refused("the assertion's nonce is another one")
    );
    // Another one with the same `jti` is the same one to its provider.
    let with_id = || setup.login.assertion("ada-7", PORTAL).claim("nonce", NONCE).claim("jti", "one");
    let [first, second] =
        [with_id(), with_id().life(4 * MINUTE)].map(|it| Assertion::new(it.sign()).nonce(NONCE));
    assert_eq!(setup.outcome(&first).await, Outcome::of("user_ada"));
    assert_eq!(setup.outcome(&second).await, Outcome::refused(USED));
    // Without a `jti`, the content counts, and not the signature, of which ECDSA has two for each content.
    let setup = Federated::with(people().algorithms([Algorithm::Es256]), jobs());
    setup.login.rotate_to(SigningAlgorithm::Es256);
    let unnamed = setup.login.assertion("ada-7", PORTAL).claim("nonce", NONCE).claim("jti", Value::Null);
    let (one, again) = (unnamed.sign(), unnamed.sign());
    assert_ne!(one, again);
    assert_eq!(setup.outcome(&Assertion::new(one).nonce(NONCE)).await, Outcome::of("user_ada"));
    assert_eq!(setup.outcome(&Assertion::new(again).nonce(NONCE)).await, Outcome::refused(USED));
}

#[tokio::test(start_paused = true)]
async fn x1_of_a_hundred_exchanges_of_one_assertion_at_once_one_succeeds() {
    let setup = Federated::new();
    let (clerk, ada) = (setup.clerk().clone(), setup.ada());
    let hold = setup.world.fake.hold(tower_clerk::testing::Endpoint::Users);
    let exchanges: Vec<_> = (0..100)
        .map(|_| {
            let (clerk, ada) = (clerk.clone(), ada.clone());
            tokio::spawn(async move { clerk.exchange(&ada, &tower_clerk::Access::new()).await.is_ok() })
        })
        .collect();
    run_ready_tasks().await;
    hold.release();
    let mut succeeded = 0;
    for exchange in exchanges {
        succeeded += usize::from(exchange.await.unwrap());
    }
    assert_eq!((succeeded, setup.look_ups(), setup.tickets()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn x1_an_outage_does_not_use_an_assertion_up_and_a_refusal_does() {
    use tower_clerk::testing::{Endpoint, Fault};
    let setup = Federated::new();
    let ada = setup.ada();
    setup.world.fake.script(Endpoint::Users, Fault::Status(503));
    let outcome = setup.outcome(&ada).await;
    assert!(
        matches!(outcome, Outcome::Rejected(tower_clerk::RejectionKind::UpstreamUnavailable, _)),
        "{outcome:?}"
    );
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(setup.outcome(&ada).await, Outcome::of("user_ada"));
    let stranger = setup.login.assertion("stranger", PORTAL).claim("nonce", NONCE).sign();
    let stranger = Assertion::new(stranger).nonce(NONCE);
    assert_eq!(setup.outcome(&stranger).await, super::NOBODY);
    assert_eq!(setup.outcome(&stranger).await, Outcome::refused(USED));
}

#[tokio::test(start_paused = true)]
async fn x1_a_workloads_assertion_is_a_credential_until_it_expires() {
    let setup = Federated::new();
    let job = Assertion::new(setup.ci.assertion(JOB, API).life(30 * MINUTE).sign());
    for minute in 0..30 {
        assert_eq!(setup.outcome(&job).await, Outcome::of("user_bot"), "{minute}");
        tokio::time::advance(MINUTE).await;
    }
    assert_eq!((setup.look_ups(), setup.tickets()), (1, 1));
    tokio::time::advance(MINUTE).await;
    assert_eq!(setup.outcome(&job).await, Outcome::refused(EXPIRED));
}

#[tokio::test(start_paused = true)]
async fn x1_a_long_lived_assertion_is_refused_for_its_age() {
    let setup = Federated::new();
    let of_a_year = Assertion::new(setup.ci.assertion(JOB, API).life(365 * 24 * HOUR).sign());
    assert_eq!(setup.outcome(&of_a_year).await, Outcome::of("user_bot"));
    tokio::time::advance(HOUR + MINUTE - SECOND).await;
    assert_eq!(setup.outcome(&of_a_year).await, Outcome::of("user_bot"));
    tokio::time::advance(SECOND).await;
    assert_eq!(setup.outcome(&of_a_year).await, Outcome::refused(TOO_OLD));
    let shorter = Federated::with(people(), jobs().longest_age(2 * MINUTE));
    let job = shorter.job();
    assert_eq!(shorter.outcome(&job).await, Outcome::of("user_bot"));
    tokio::time::advance(3 * MINUTE).await;
    assert_eq!(shorter.outcome(&job).await, Outcome::refused(TOO_OLD));
}
