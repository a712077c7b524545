//! The verification flight of an API key: the wait for a permit, the call, and the consequences of its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::look_up::CREATOR_LEFT;
use super::{KeyAttempt, KeyOutcome, KeyVerifier};
use crate::api_keys::{ClerkApiKey, Needs, VerifiedKey};
use crate::clerk_api::bapi::FoundApiKey;
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::engine::rejections::{self, from_api_error, ground_of, unavailable};
use crate::engine::sign_in::report_to_circuit;
use crate::flight::Start;
use crate::key::normalize_identifier;
use crate::limits::{
    Epoch, Ground, NoPermit, Pass, PermitRequest, Refusal, Repeats, Share, SignInPermit, Urgency,
};
use crate::rejection::{Rejection, RejectionKind};
use crate::sync::{Either, either, lock};

/// How long all keys are rejected after Clerk has answered that none can be verified (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

impl KeyVerifier {
    /// Verifies a key, or looks up what else has to be known of one that was verified.
    ///
    /// `gone` resolves when the last waiter has left, which takes the flight out of the queue.
    pub(super) async fn run(
        &self,
        attempt: &KeyAttempt,
        needs: Needs,
        start: &Start<KeyOutcome>,
        gone: impl Future<Output = ()>,
    ) -> KeyOutcome {
        // A refusal is void if keys of this user name are forgiven from here on.
        let since = self.forgiven.now();
        let now = self.clock.now();
        let held = self.verified.get(&attempt.key, attempt.keys.ttl_of_keys(), now);
        let held = held.filter(|held| !held.is_void(&self.revocations));
        let is_proven = held.is_some() || self.proven.contains(&attempt.key, now);
        let urgency = if is_proven { Urgency::ProvenKey } else { Urgency::Proof };
        let permit = match is_proven {
            true => None,
            false => Some(self.permit(attempt, gone).await?),
        };
        if self.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        if let Some(rejection) = self.refused_already(&attempt.key) {
            return Err(rejection);
        }
        let (pass, mut permit) = (self.enter(attempt)?, permit);
        if let Some(permit) = &mut permit {
            permit.start();
        }
        start.start(self.clock.now());
        let mut time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let found = match held {
            Some(held) => Ok(held),
            None => self.ask(attempt, urgency, &mut time).await,
        };
        // The look-ups are calls about a key that Clerk knows, so no made-up key causes them.
        let verified = match &found {
            Ok(found) => self.look_up(found, needs, urgency, &mut time).await,
            Err(error) => Err(error.clone()),
        };
        report_to_circuit(pass, verified.as_ref().err(), self.clock.now());
        match verified {
            Ok(verified) => Ok(self.store(attempt, verified)),
            Err(error) => {
                let key = found.as_ref().ok().map(|found| &found.key);
                Err(self.on_failure(attempt, key, since, &error))
            }
        }
    }

    /// Waits for a permit to verify a key that Clerk has not accepted before.
    async fn permit(
        &self,
        attempt: &KeyAttempt,
        gone: impl Future<Output = ()>,
    ) -> Result<SignInPermit, Rejection> {
        let request = PermitRequest {
            share: Share::Untrusted,
            identifier: attempt.key.as_subject(),
            source: attempt.source,
            renewal: None,
        };
        let permit = match either(self.unproven.permit(request), gone).await {
            Either::First(permit) => permit,
            Either::Second(()) => Err(NoPermit { earliest: Duration::ZERO }),
        };
        permit.map_err(|NoPermit { earliest }| {
            if self.closed.load(Ordering::Acquire) {
                return unavailable("shut_down");
            }
            let rejection = Rejection::new(RejectionKind::UpstreamRateLimited);
            rejection.with_retry_after(self.jitter.later(earliest, 0.1))
        })
    }

    fn enter(&self, attempt: &KeyAttempt) -> Result<Pass, Rejection> {
        let pass = self.circuit.enter(attempt.key.as_subject().short(), self.clock.now());
        pass.map_err(|wait| {
            from_api_error(&ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })
        })
    }

    /// Asks Clerk about the key alone.
    async fn ask(
        &self,
        attempt: &KeyAttempt,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Arc<VerifiedKey>, ApiError> {
        let since = self.revocations.generation();
        let found = self.bapi.verify_api_key(attempt.credentials.password(), urgency, time).await?;
        let claimed = attempt.keys.claimed_subject(&attempt.credentials);
        let end = match found.expires_at {
            None => None,
            // Counted from when the request left, by Clerk's own clock (rule K2).
            Some(at) => {
                let left = at.duration_since(self.time.at(found.left)).unwrap_or_default();
                Some(found.left.checked_add(left).unwrap_or(found.left))
            }
        };
        if let Some(code) = fault_of(&found, claimed) {
            return Err(refused(code));
        }
        if end.is_some_and(|end| end <= self.clock.now()) {
            return Err(refused("api_key_expired"));
        }
        let at = found.left;
        let nothing = Needs { subject: false, creator: false, memberships: false };
        Ok(Arc::new(VerifiedKey::new(ClerkApiKey::new(found, None), nothing, at, end, since)))
    }

    fn store(&self, attempt: &KeyAttempt, verified: Arc<VerifiedKey>) -> Arc<VerifiedKey> {
        tracing::debug!(
            api_key_id = verified.key.id(),
            subject = verified.key.subject(),
            "an API key was verified"
        );
        self.proven.insert(attempt.key, self.clock.now());
        self.denials.forget(&attempt.key);
        // A revocation that has come meanwhile voids it at its next use, which is that of this flight's own waiters.
        if !verified.is_void(&self.revocations) {
            self.verified.insert(attempt.key, Arc::clone(&verified));
        }
        verified
    }

    /// Classifies a failed verification, remembers the rejection as far as it would repeat, and returns it.
    /// `known` is the key as Clerk knows it, if it does.
    fn on_failure(
        &self,
        attempt: &KeyAttempt,
        known: Option<&ClerkApiKey>,
        since: Epoch,
        error: &ApiError,
    ) -> Rejection {
        let rejection = from_api_error(error);
        match error.class {
            ErrorClass::Refused(_) => {
                self.verified.remove(&attempt.key);
                self.proven.remove(&attempt.key);
                // The end of a ban and a new member are told by the user's id. All other refusals are of the user name.
                let creator = known.and_then(ClerkApiKey::created_by);
                let (name, ground) = match (ground_of(error.class), known, creator) {
                    (Ground::Banned, Some(key), _) => (key.subject(), Ground::Banned),
                    (_, _, Some(creator)) if error.code.as_deref() == Some(CREATOR_LEFT) => {
                        (creator, Ground::CreatorLeft)
                    }
                    _ => (attempt.credentials.identifier(), Ground::Other),
                };
                let refusal = self.refusal(name, ground, since, &rejection);
                self.denials.remember(attempt.key, refusal, Repeats::Lengthen, self.clock.now());
                rejection
            }
            ErrorClass::Unknown => {
                if self.warnings.is_due(error.code.as_deref().unwrap_or_default(), self.clock.now()) {
                    tracing::warn!(
                        code = error.code.as_deref(),
                        "Clerk answered about an API key with something that this version cannot act on"
                    );
                }
                // An earlier retry would only get the remembered rejection.
                let rejection = rejection.with_retry_after(self.settings.negative_ttl);
                let name = attempt.credentials.identifier();
                let refusal = self.refusal(name, Ground::Other, since, &rejection);
                self.denials.remember(attempt.key, refusal, Repeats::Same, self.clock.now());
                rejection
            }
            ErrorClass::Misconfigured => {
                tracing::error!(
                    code = error.code.as_deref(),
                    "API keys cannot be verified: {}",
                    rejections::advice(error)
                );
                let until = self.clock.now() + MISCONFIGURED_FOR;
                *lock(&self.misconfigured) = Some((until, rejection.clone()));
                rejection
            }
            _ => rejection,
        }
    }

    fn refusal(&self, name: &str, ground: Ground, since: Epoch, rejection: &Rejection) -> Refusal {
        let identifier = self.secret.identifier(&normalize_identifier(name));
        Refusal { rejection: rejection.clone(), identifier, ground, since }
    }
}

/// Why a key that Clerk knows is refused, as a code for the log; `None` if it is not.
fn fault_of(found: &FoundApiKey, claimed_subject: Option<&str>) -> Option<&'static str> {
    let is_of_kind = ["user_", "org_"].iter().any(|prefix| found.subject.starts_with(prefix));
    if found.revoked {
        Some("api_key_revoked")
    } else if found.expired {
        Some("api_key_expired")
    } else if &*found.kind != "api_key" || !is_of_kind {
        // Secret keys of machines begin like API keys, and are verified at the same place.
        Some("api_key_of_another_type")
    } else if claimed_subject.is_some_and(|claimed| *claimed != *found.subject) {
        Some("api_key_of_another_subject")
    } else {
        None
    }
}

/// A refusal of this engine's own. The client gets the same answer for all of them.
pub(super) fn refused(code: &str) -> ApiError {
    ApiError::coded(ErrorClass::Refused(CredentialRefusal::Unidentified), code)
}
