//! The way of a request with an API key: the cache of verified keys, or a verification, and then the organization that
//! the layer asks for (rules T1-T6).

mod flight;
mod look_up;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use super::deadline::Deadline;
use super::exchange::Counted;
use super::rejections::unavailable;
use crate::api_keys::{
    ApiKeys, ClerkApiKey, KeyRevocations, Needs, ProvenKeys, VerifiedKey, VerifiedKeys, WantedOrganization,
};
use crate::clerk_api::bapi::Bapi;
use crate::clock::{ClerkTime, Clock};
use crate::cluster::Change;
use crate::counters::Outcome;
use crate::credentials::{BasicToken, Credentials};
use crate::flight::{Join, Priority, SingleFlight};
use crate::jitter::Jitter;
use crate::key::{CredentialKey, KeySecret, PassThrough};
use crate::limits::{Circuit, Denials, Forgiven, SignInLimiter, WarnThrottle};
use crate::rejection::{Rejection, RejectionKind};
use crate::scope::OrganizationName;
use crate::settings::Settings;
use crate::sync::lock;

/// How many verifications a request may go through: one that another layer has started with fewer checks, one that a
/// revocation has overtaken, and one more.
const ROUNDS: usize = 3;

/// The result of a verification.
type KeyOutcome = Result<Arc<VerifiedKey>, Rejection>;

/// The parts of an engine that are about API keys. There are none without a secret key.
pub(super) struct KeyVerifier {
    pub(super) bapi: Arc<Bapi>,
    pub(super) verified: VerifiedKeys,
    pub(super) proven: ProvenKeys,
    pub(super) denials: Denials,
    pub(super) forgiven: Arc<Forgiven>,
    pub(super) revocations: KeyRevocations,
    pub(super) flights: Arc<SingleFlight<CredentialKey, KeyOutcome, PassThrough>>,
    /// Permits to verify keys that Clerk has not accepted before.
    pub(super) unproven: Arc<SignInLimiter>,
    pub(super) circuit: Arc<Circuit>,
    /// All keys are rejected until then, since Clerk has answered that none can be verified (rule K11).
    pub(super) misconfigured: Mutex<Option<(Instant, Rejection)>>,
    pub(super) warnings: WarnThrottle,
    pub(super) secret: Arc<KeySecret>,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) time: Arc<ClerkTime>,
    pub(super) jitter: Arc<Jitter>,
    pub(super) closed: AtomicBool,
}

/// An API key that a request has presented, to be verified.
#[derive(Clone)]
pub(crate) struct KeyAttempt {
    pub(crate) key: CredentialKey,
    pub(crate) credentials: Credentials,
    pub(crate) source: Option<u64>,
    pub(crate) keys: Arc<ApiKeys>,
}

impl Clerk {
    /// Whether the engine can verify API keys, for which it needs the secret key.
    pub(crate) fn takes_api_keys(&self) -> bool {
        self.0.api_keys.is_some()
    }

    /// The cache key of an API key with its user name, by the token in the header.
    pub(crate) fn key_of_api_key(&self, token: BasicToken<'_>) -> CredentialKey {
        self.0.sign_ins.secret.api_key(token.as_bytes())
    }

    /// The cache key of an API key whose layer decodes tokens in a way of its own.
    pub(crate) fn key_of_decoded_api_key(&self, credentials: &Credentials) -> CredentialKey {
        self.0.sign_ins.secret.api_key(&credentials.token())
    }

    /// The hit path of API keys: a key that was verified before, or the rejection. `None` if the key has to be verified.
    pub(crate) fn held_api_key(
        &self,
        key: &CredentialKey,
        keys: &ApiKeys,
        wanted: &WantedOrganization,
    ) -> Option<Result<ClerkApiKey, Rejection>> {
        let verifier = self.0.api_keys.as_ref()?;
        let held = verifier.held(key, keys, Needs::of(keys, wanted))?;
        let accepted = accept(&held, wanted);
        if accepted.is_ok() {
            self.count(Outcome::Hit);
        }
        Some(accepted)
    }

    /// Verifies an API key for a request, and counts the outcome.
    pub(crate) async fn verify_api_key(
        &self,
        attempt: KeyAttempt,
        wanted: WantedOrganization,
    ) -> Result<ClerkApiKey, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let span = tracing::debug_span!("verify_api_key");
        let mut how = Outcome::Hit;
        let result = self.verify_api_key_for(&attempt, &wanted, &mut how).instrument(span).await;
        counted.outcome = match &result {
            Ok(_) => how,
            Err(_) if how == Outcome::Denied => Outcome::Denied,
            Err(rejection) => Outcome::of(rejection.kind()),
        };
        result
    }

    async fn verify_api_key_for(
        &self,
        attempt: &KeyAttempt,
        wanted: &WantedOrganization,
        how: &mut Outcome,
    ) -> Result<ClerkApiKey, Rejection> {
        let Some(verifier) = &self.0.api_keys else { return Err(unavailable("no_secret_key")) };
        if *wanted == WantedOrganization::Named(OrganizationName::Malformed) {
            return Err(Rejection::new(RejectionKind::OrganizationForbidden));
        }
        let needs = Needs::of(&attempt.keys, wanted);
        for _ in 0..ROUNDS {
            if verifier.closed.load(Ordering::Acquire) {
                return Err(unavailable("shut_down"));
            }
            if let Some(held) = verifier.held(&attempt.key, &attempt.keys, needs) {
                return accept(&held, wanted);
            }
            if let Some(rejection) = verifier.refused_already(&attempt.key) {
                *how = Outcome::Denied;
                return Err(rejection);
            }
            let verified = verifier.join(attempt, needs, how).await?;
            if verified.covers(needs) && !verified.is_void(&verifier.revocations) {
                return accept(&verified, wanted);
            }
        }
        Err(unavailable("revoked_meanwhile"))
    }

    /// Drops what the engine holds of an API key, by its id (`ak_…`): the next request with it is verified at Clerk.
    ///
    /// Call it when a key is revoked or changed: Clerk sends no event about keys, and without this call a revoked key works
    /// until its [`ttl`](crate::ApiKeys::ttl) has passed, 5 min by default. It takes effect at once, also on a verification
    /// that is under way. The key itself is not revoked by it: that is done at Clerk.
    ///
    /// [`revoke_user`](Self::revoke_user) and [`revoke_organization`](Self::revoke_organization) reach the keys of a user or
    /// an organization, too. It has no effect without a [`secret_key`](crate::ClerkBuilder::secret_key).
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk) {
    /// // The program has revoked the key by Clerk's API, in answer to a user's click.
    /// clerk.revoke_api_key("ak_3beecc9c60adb5f9b850e91a8ee1e992");
    /// # }
    /// ```
    pub fn revoke_api_key(&self, id: &str) {
        self.change(Change::ApiKey(id.into()));
    }
}

impl super::Inner {
    /// Drops the API keys of a user, those that the user has created, or those of an organization, by its id; or one key,
    /// by its own.
    pub(super) fn revoke_api_keys_of(&self, id: &str) {
        if let Some(verifier) = &self.api_keys {
            verifier.revocations.revoke(id, self.clock.now());
        }
    }
}

impl KeyVerifier {
    /// The verified key, if it is still good, of which everything needed is known.
    fn held(&self, key: &CredentialKey, keys: &ApiKeys, needs: Needs) -> Option<Arc<VerifiedKey>> {
        let held = self.verified.get(key, keys.ttl_of_keys(), self.clock.now())?;
        if held.is_void(&self.revocations) {
            self.verified.remove(key);
            return None;
        }
        held.covers(needs).then_some(held)
    }

    /// The remembered refusal of this key, or of all keys.
    fn refused_already(&self, key: &CredentialKey) -> Option<Rejection> {
        let now = self.clock.now();
        let misconfigured = || {
            let misconfigured = lock(&self.misconfigured);
            misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
        };
        self.denials.get(key, now).or_else(misconfigured)
    }

    /// Verifies a key, or joins the verification of the same key.
    async fn join(self: &Arc<Self>, attempt: &KeyAttempt, needs: Needs, how: &mut Outcome) -> KeyOutcome {
        let deadline = Deadline::new(self.clock, &self.settings);
        // A flight that ended since the look above.
        let already = || self.held(&attempt.key, &attempt.keys, needs).map(Ok);
        let join = self.flights.join(attempt.key, Priority::Request, already, |waiters| {
            let (verifier, attempt) = (Arc::clone(self), attempt.clone());
            let span = tracing::debug_span!("ask_about_api_key");
            async move { verifier.run(&attempt, needs, &waiters.start(), waiters.gone()).await }
                .instrument(span)
        });
        match join {
            Join::Ready(outcome) => outcome,
            Join::Waiter(waiter, led) => {
                *how = if led { Outcome::Verified } else { Outcome::Joined };
                match waiter.outcome_within(deadline.start_by(), deadline.after_start()).await {
                    Some(outcome) => outcome.unwrap_or_else(|_| Err(unavailable("verification_lost"))),
                    None => Err(unavailable("timeout")),
                }
            }
            Join::Full => {
                let rejection = Rejection::new(RejectionKind::UpstreamRateLimited);
                Err(rejection.with_retry_after(self.settings.upstream_timeout))
            }
        }
    }

    /// Drops all keys.
    pub(super) fn revoke_all(&self) {
        self.revocations.revoke_all(self.clock.now());
        self.verified.clear();
        self.proven.clear();
    }

    /// Rejects all keys from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.unproven.close();
        self.revoke_all();
    }
}

fn accept(verified: &VerifiedKey, wanted: &WantedOrganization) -> Result<ClerkApiKey, Rejection> {
    verified.for_organization(wanted).ok_or_else(|| {
        Rejection::new(RejectionKind::OrganizationForbidden)
            .detail_of("the API key is not for the organization that this request asks for")
    })
}

/// The permits to verify keys that Clerk has not accepted before, of this budget of calls: five in a second, or five
/// eighths of a smaller budget (rule T5).
pub(super) fn unproven_keys((calls, window): (u32, Duration)) -> (u32, Duration) {
    const MOST: u32 = 5;
    let per_second = f64::from(calls) / window.as_secs_f64();
    if per_second >= 8.0 {
        return (MOST, Duration::from_secs(1));
    }
    let share = (f64::from(calls) * 0.625).max(1.0);
    (1, window.div_f64(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t5_unproven_keys_have_five_calls_a_second_or_five_eighths_of_a_smaller_budget() {
        let seconds = Duration::from_secs;
        for (budget, expected) in [
            ((800, seconds(10)), (5, seconds(1))),
            ((80, seconds(10)), (5, seconds(1))),
            ((40, seconds(10)), (1, Duration::from_millis(400))),
            ((1, seconds(10)), (1, seconds(10))),
        ] {
            assert_eq!(unproven_keys(budget), expected, "{budget:?}");
        }
    }
}
