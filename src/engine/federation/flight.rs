//! The flight of an assertion: the wait for a permit, the look-up of its user, and the opening of a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{AssertionAttempt, Federation};
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::engine::rejections::{self, from_api_error, ground_of, unavailable};
use crate::engine::sign_in::{SignInError, SignInOutcome, SignIns, report_to_circuit};
use crate::federation::AssertionRefusal;
use crate::flight::Start;
use crate::key::{CredentialKey, IdentifierKey, normalize_identifier};
use crate::limits::{
    Epoch, Ground, NoPermit, Pass, PermitRequest, Refusal, Repeats, Share, SignInLimiter, SignInPermit,
    Urgency,
};
use crate::provider::ProvenPassword;
use crate::rejection::{BearerRefusal, Rejection, RejectionKind};
use crate::sessions::Proof;
use crate::sync::{Either, either, lock};

/// How long all assertions are rejected after Clerk has answered that the instance is misconfigured (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

/// The code of a second factor that the engine itself asks for.
pub(super) const NOT_ATTESTED: &str = "second_factor_not_attested";

const SECOND_FACTOR: &str = "the account needs a second factor, which the assertion doesn't attest, or which Clerk asks for \
                             itself";

impl Federation {
    /// The remembered refusal of this assertion or of its subject, or of all assertions.
    pub(super) fn refused_already(&self, attempt: &AssertionAttempt, now: Instant) -> Option<Rejection> {
        let misconfigured = || {
            let misconfigured = lock(&self.misconfigured);
            misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
        };
        let denied = |key: &CredentialKey| self.denials.get(key, now);
        denied(&attempt.key).or_else(|| denied(&attempt.subject)).or_else(misconfigured)
    }

    /// Finds the user of an assertion, opens a session and stores its proof.
    ///
    /// `gone` resolves when the last waiter has left, which takes the flight out of the queue.
    pub(super) async fn run(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> SignInOutcome {
        // A refusal is void if its user is forgiven from here on.
        let since = sign_ins.forgiven.now();
        let entered = match self.enter(sign_ins, attempt, gone).await {
            Ok(entered) => entered,
            Err(rejection) => {
                return SignInOutcome::of(Err(rejection.into()), sign_ins.clock.now());
            }
        };
        start.start(sign_ins.clock.now());
        let mut time = TimeLeft::new(sign_ins.settings.upstream_timeout, sign_ins.clock);
        let result = self.prove(sign_ins, attempt, entered, since, &mut time).await;
        SignInOutcome::of(result, sign_ins.clock.now() + time.left())
    }

    /// Waits for a permit, and enters the circuit.
    ///
    /// Subjects that were found before have a budget of their own, so that strangers don't delay them. They need one as well:
    /// a provider may issue any number of assertions about a subject, and each costs a look-up.
    async fn enter(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        gone: impl Future<Output = ()>,
    ) -> Result<Entered, Rejection> {
        let is_proven = self.proven.contains(&attempt.subject, sign_ins.clock.now());
        let (limiter, urgency) = match is_proven {
            true => (&self.known, Urgency::ProvenKey),
            false => (&self.unproven, Urgency::Proof),
        };
        let mut permit = permit(limiter, sign_ins, attempt, gone).await?;
        if sign_ins.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        // Others of the same subject may have been answered while this one was in the queue.
        let now = sign_ins.clock.now();
        if now >= attempt.end {
            return Err(refused_for(AssertionRefusal::EXPIRED));
        }
        if let Some(rejection) = self.refused_already(attempt, now) {
            return Err(rejection);
        }
        let pass = self.circuit.enter(attempt.subject.as_subject().short(), now).map_err(|wait| {
            from_api_error(&ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })
        })?;
        permit.start();
        Ok(Entered { permit, pass, urgency })
    }

    async fn prove(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        entered: Entered,
        since: Epoch,
        time: &mut TimeLeft,
    ) -> Result<Arc<Proof>, SignInError> {
        let Entered { permit, pass, urgency } = entered;
        // Before the look-up: a revocation that comes during it is one of what it has found.
        let (generation, at) = (sign_ins.revocations.now(), sign_ins.clock.now());
        let found = self.user_of(sign_ins, attempt, urgency, time).await;
        // The opening of a session has a limiter of its own, whose wait may be long.
        drop(permit);
        let account = match found {
            Ok(account) => account,
            Err((error, user_id)) => {
                report_to_circuit(pass, Some(&error), sign_ins.clock.now());
                let user_id = user_id.as_deref();
                return Err(self.on_failure(sign_ins, attempt, user_id, since, &error).into());
            }
        };
        self.proven.insert(attempt.subject, at);
        let user = sign_ins.users.of(&account.id);
        let proven =
            ProvenPassword { user_id: account.id.clone(), at, identifiers: Vec::new(), session: None };
        let organization = attempt.organization.as_ref();
        let opened = sign_ins.provider.open(proven, &user, organization, generation, time).await;
        report_to_circuit(pass, opened.as_ref().err(), sign_ins.clock.now());
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                return Err(self.on_failure(sign_ins, attempt, Some(&account.id), since, &error).into());
            }
        };
        let (key, assurance) = (attempt.key, Arc::clone(&attempt.assurance));
        let end = attempt.accepted.proof_ttl.map_or(attempt.end, |ttl| attempt.end.min(at + ttl));
        let prove = |holding, session_end| Proof::of_assertion(key, holding, at, end, session_end, assurance);
        sign_ins.open_for_assertion(opened, organization, at, generation, time.left(), prove).await
    }

    /// Classifies a failure, remembers the rejection as far as it would repeat, and returns it.
    fn on_failure(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        user_id: Option<&str>,
        since: Epoch,
        error: &ApiError,
    ) -> Rejection {
        let (rejection, now) = (from_api_error(error), sign_ins.clock.now());
        match error.class {
            ErrorClass::SecondFactor => {
                let rejection = rejection.detail_of(SECOND_FACTOR);
                // The next assertion of the person may attest one, but what Clerk asks for, no assertion can give.
                let is_own = error.code.as_deref() == Some(NOT_ATTESTED);
                let (key, repeats) = match is_own {
                    true => (attempt.key, Repeats::Same),
                    false => (attempt.subject, Repeats::Lengthen),
                };
                self.remember(attempt, key, since, &rejection, repeats, now);
                rejection
            }
            ErrorClass::Refused(_) => {
                self.proven.remove(&attempt.subject);
                let (identifier, ground) = self.ground(sign_ins, attempt, user_id, error.class);
                let refusal = Refusal { rejection: rejection.clone(), identifier, ground, since };
                // Not for longer and longer: a link may be made at any time, and no event tells it.
                self.denials.remember(attempt.subject, refusal, Repeats::Same, now);
                rejection
            }
            ErrorClass::ActionRequired => {
                self.remember(attempt, attempt.subject, since, &rejection, Repeats::Same, now);
                rejection
            }
            ErrorClass::Unknown => {
                if self.warnings.is_due(error.code.as_deref().unwrap_or_default(), now) {
                    tracing::warn!(
                        code = error.code.as_deref(),
                        "Clerk answered about an assertion's user with something that this version cannot act on"
                    );
                }
                // An earlier retry would only get the remembered rejection.
                let rejection = rejection.with_retry_after(sign_ins.settings.negative_ttl);
                self.remember(attempt, attempt.subject, since, &rejection, Repeats::Same, now);
                rejection
            }
            ErrorClass::Misconfigured => {
                tracing::error!(
                    code = error.code.as_deref(),
                    "assertions cannot be exchanged: {}",
                    rejections::advice(error)
                );
                *lock(&self.misconfigured) = Some((now + MISCONFIGURED_FOR, rejection.clone()));
                rejection
            }
            _ => rejection,
        }
    }

    /// The ground of a refusal, and the identifier by which it is lifted: the end of a ban or of a lock is told by the
    /// user's id.
    fn ground(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        user_id: Option<&str>,
        class: ErrorClass,
    ) -> (IdentifierKey, Ground) {
        match (ground_of(class), user_id) {
            (Ground::Banned, Some(id)) => {
                (sign_ins.secret.identifier(&normalize_identifier(id)), Ground::Banned)
            }
            (Ground::Locked, Some(id)) => (sign_ins.secret.user(id), Ground::Locked),
            _ => (attempt.subject.as_subject(), Ground::Other),
        }
    }

    fn remember(
        &self,
        attempt: &AssertionAttempt,
        key: CredentialKey,
        since: Epoch,
        rejection: &Rejection,
        repeats: Repeats,
        now: Instant,
    ) {
        let identifier = attempt.subject.as_subject();
        let refusal = Refusal { rejection: rejection.clone(), identifier, ground: Ground::Other, since };
        self.denials.remember(key, refusal, repeats, now);
    }
}

/// The rejection of an assertion for what it is. It carries the part of a Bearer token, which only a layer shows.
pub(super) fn refused_for(refusal: AssertionRefusal) -> Rejection {
    let kind = if refusal.is_expired { BearerRefusal::Expired } else { BearerRefusal::Other };
    Rejection::of_bearer(kind, refusal.reason)
}

/// A flight that may make its calls.
struct Entered {
    permit: SignInPermit,
    pass: Pass,
    urgency: Urgency,
}

/// Waits for a permit to look a subject up. A subject has one look-up at a time, and sources have equal shares.
async fn permit(
    limiter: &Arc<SignInLimiter>,
    sign_ins: &SignIns,
    attempt: &AssertionAttempt,
    gone: impl Future<Output = ()>,
) -> Result<SignInPermit, Rejection> {
    let request = PermitRequest {
        share: Share::Untrusted,
        identifier: attempt.subject.as_subject(),
        source: attempt.source,
        renewal: None,
    };
    let permit = match either(limiter.permit(request), gone).await {
        Either::First(permit) => permit,
        Either::Second(()) => Err(NoPermit { earliest: Duration::ZERO }),
    };
    permit.map_err(|NoPermit { earliest }| {
        if sign_ins.closed.load(Ordering::Acquire) {
            return unavailable("shut_down");
        }
        let rejection = Rejection::new(RejectionKind::UpstreamRateLimited);
        rejection.with_retry_after(sign_ins.jitter.later(earliest, 0.1))
    })
}

/// A refusal of this engine's own. The client gets the same answer for all of them.
pub(super) fn refused(refusal: CredentialRefusal, code: &str) -> ApiError {
    ApiError::coded(ErrorClass::Refused(refusal), code)
}
