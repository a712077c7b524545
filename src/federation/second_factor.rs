//! The policy on second factors of people.

use std::time::Duration;

use super::claims::AssertionClaims;
use super::refusal::LEEWAY;

/// Which assertions attest a second factor, and who needs one.
#[derive(Clone, Debug)]
pub(crate) struct SecondFactorPolicy {
    /// The values of `amr` that stand for a second factor.
    pub(super) amr: Vec<Box<str>>,
    /// The values of `acr` that stand for one.
    pub(super) acr: Vec<Box<str>>,
    /// How old `auth_time` may be.
    pub(super) within: Duration,
    /// Every person needs one, whether or not the user has one at Clerk.
    pub(super) is_required: bool,
}

impl Default for SecondFactorPolicy {
    fn default() -> Self {
        let within = Duration::from_secs(60 * 60);
        Self { amr: Vec::new(), acr: Vec::new(), within, is_required: false }
    }
}

impl SecondFactorPolicy {
    /// Whether a person with this assertion may go on as a user who has a second factor at Clerk, or has none.
    pub(crate) fn is_met(&self, user_has_one: bool, claims: &AssertionClaims, now: u64) -> bool {
        !(user_has_one || self.is_required) || self.is_attested(claims, now)
    }

    /// Whether the assertion says, in words that are trusted, that the person has used a second factor lately.
    fn is_attested(&self, claims: &AssertionClaims, now: u64) -> bool {
        let by_amr = claims.amr().any(|method| self.amr.iter().any(|trusted| **trusted == *method));
        let by_acr = claims.acr().is_some_and(|class| self.acr.iter().any(|trusted| **trusted == *class));
        // Without `auth_time` a provider may repeat what it knows of a session from days ago.
        let is_fresh = claims.auth_time().is_some_and(|at| {
            at <= now.saturating_add(LEEWAY)
                && now.saturating_sub(at) <= self.within.as_secs().saturating_add(LEEWAY)
        });
        (by_amr || by_acr) && is_fresh
    }

    /// Whether any assertion can attest one.
    pub(super) fn trusts_any(&self) -> bool {
        !(self.amr.is_empty() && self.acr.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_767_225_600;

    fn claims(value: &Value) -> AssertionClaims {
        AssertionClaims::of(value)
    }

    /// The table of `docs/rules.md`.
    #[test]
    fn x3_a_second_factor_is_needed_by_the_user_or_the_policy_and_attested_freshly_in_trusted_words() {
        let policy = |is_required| SecondFactorPolicy {
            amr: vec!["mfa".into()],
            acr: vec!["urn:acme:2fa".into()],
            is_required,
            ..SecondFactorPolicy::default()
        };
        let hour = 60 * 60;
        for (user_has_one, required, of_assertion, is_met) in [
            (false, false, json!({}), true),
            (true, false, json!({}), false),
            (true, false, json!({"amr": ["pwd", "mfa"], "auth_time": NOW}), true),
            (true, false, json!({"acr": "urn:acme:2fa", "auth_time": NOW}), true),
            (true, false, json!({"amr": ["otp"], "auth_time": NOW}), false),
            (true, false, json!({"acr": "urn:acme:2fa:not", "auth_time": NOW}), false),
            (true, false, json!({"amr": ["mfa"]}), false),
            (true, false, json!({"amr": ["mfa"], "auth_time": NOW - hour - 60}), true),
            (true, false, json!({"amr": ["mfa"], "auth_time": NOW - hour - 61}), false),
            (true, false, json!({"amr": ["mfa"], "auth_time": NOW + 60}), true),
            (true, false, json!({"amr": ["mfa"], "auth_time": NOW + 61}), false),
            (true, false, json!({"amr": "mfa", "auth_time": NOW}), false),
            (false, true, json!({}), false),
            (false, true, json!({"amr": ["mfa"], "auth_time": NOW}), true),
        ] {
            let met = policy(required).is_met(user_has_one, &claims(&of_assertion), NOW);
            assert_eq!(met, is_met, "{user_has_one} {required} {of_assertion}");
        }
        let trusts_none = SecondFactorPolicy::default();
        assert!(!trusts_none.is_met(true, &claims(&json!({"amr": ["mfa"], "auth_time": NOW})), NOW));
    }
}
