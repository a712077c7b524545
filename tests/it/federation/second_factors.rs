//! The policy on second factors (rule X3).

use serde_json::{Value, json};
use tower_clerk::RejectionKind;
use tower_clerk::federation::{Assertion, Provider};

use super::{Federated, HOUR, NONCE, Outcome, PORTAL, jobs, people};

impl Federated {
    fn of_people(people: Provider) -> Self {
        // The stand-in's default: a ticket is not asked for a second factor.
        Self::with(people, jobs())
    }

    async fn ada_with(&self, claims: &Value) -> Outcome {
        let mut assertion = self.login.assertion("ada-7", PORTAL).claim("nonce", NONCE);
        for (name, value) in claims.as_object().unwrap() {
            assertion = assertion.claim(name, value.clone());
        }
        self.outcome(&Assertion::new(assertion.sign()).nonce(NONCE)).await
    }
}

fn is_needed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(RejectionKind::SecondFactorRequired, Some(_)))
}

#[tokio::test(start_paused = true)]
async fn x3_a_user_with_a_second_factor_needs_an_assertion_that_attests_one() {
    let setup = Federated::of_people(people().trust_amr(["mfa"]).trust_acr(["urn:acme:2fa"]));
    let now = setup.world.clock.unix();
    assert_eq!(setup.ada_with(&json!({})).await, Outcome::of("user_ada"), "has none");
    setup.world.fake.require_second_factor("user_ada", true);
    for (claims, is_met) in [
        (json!({}), false),
        (json!({"amr": ["pwd"], "auth_time": now}), false),
        (json!({"amr": ["pwd", "mfa"], "auth_time": now}), true),
        (json!({"amr": ["mfa"]}), false),
        (json!({"amr": ["mfa"], "auth_time": now - 2 * HOUR.as_secs()}), false),
        (json!({"acr": "urn:acme:2fa", "auth_time": now}), true),
        (json!({"acr": "urn:acme:1fa", "auth_time": now}), false),
    ] {
        let found = setup.ada_with(&claims).await;
        assert_eq!((found == Outcome::of("user_ada"), is_needed(&found)), (is_met, !is_met), "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn x3_no_assertion_attests_a_second_factor_unless_its_words_are_trusted() {
    let setup = Federated::of_people(people());
    setup.world.fake.require_second_factor("user_ada", true);
    let claims = json!({"amr": ["mfa", "otp", "hwk"], "acr": "2", "auth_time": setup.world.clock.unix()});
    assert!(is_needed(&setup.ada_with(&claims).await));
}

#[tokio::test(start_paused = true)]
async fn x3_the_policy_can_ask_every_person_for_a_second_factor_and_no_workload() {
    let setup = Federated::of_people(people().trust_amr(["mfa"]).require_second_factor());
    assert!(is_needed(&setup.ada_with(&json!({})).await), "though the user has none");
    let claims = json!({"amr": ["mfa"], "auth_time": setup.world.clock.unix()});
    assert_eq!(setup.ada_with(&claims).await, Outcome::of("user_ada"));
    setup.world.fake.require_second_factor("user_bot", true);
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
}

#[tokio::test(start_paused = true)]
async fn x3_a_person_who_comes_back_with_a_second_factor_is_let_in_at_once() {
    let setup = Federated::of_people(people().trust_amr(["mfa"]));
    setup.world.fake.require_second_factor("user_ada", true);
    assert!(is_needed(&setup.ada_with(&json!({})).await));
    let claims = json!({"amr": ["mfa"], "auth_time": setup.world.clock.unix()});
    assert_eq!(setup.ada_with(&claims).await, Outcome::of("user_ada"));
}

#[tokio::test(start_paused = true)]
async fn x3_a_second_factor_that_clerk_asks_for_is_refused_and_not_tried_again() {
    let setup = Federated::new();
    setup.world.fake.reconfigure(|fake| fake.tickets_skip_second_factor(false));
    setup.world.fake.require_second_factor("user_bot", true);
    assert!(is_needed(&setup.outcome(&setup.job()).await));
    let asked = (setup.look_ups(), setup.tickets());
    assert_eq!(asked, (1, 1));
    for _ in 0..5 {
        assert!(is_needed(&setup.outcome(&setup.job()).await), "another assertion of the same subject");
    }
    assert_eq!((setup.look_ups(), setup.tickets()), asked);
    assert_eq!(setup.world.fake.live_sessions(), 0);
}
