//! Whether Clerk may be asked about a credential now, and what it answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, SignInOutcome, SignIns};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::engine::rejections;
use crate::engine::trusted_credentials::Bypass;
use crate::flight::Start;
use crate::key::{IdentifierKey, device_name, normalize_identifier};
use crate::limits::{NoPermit, Pass, Pause, PermitRequest, Repeats, Share, SignInPermit};
use crate::provider::{PAUSED, PasswordCheck, ProvenPassword};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::Generation;
use crate::sync::{Either, either};

impl SignIns {
    /// Checks, waits for a turn, checks again, and asks Clerk.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt,
        asked_for: AskedFor,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, Rejection> {
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let identifier = self.secret.identifier(&normalized);
        // Given back unless Clerk has judged: what never reached it must not cost the user the mark. A renewal uses the mark
        // when it starts: while it waits, a request may need it.
        let now = self.clock.now();
        let mut bypass = match asked_for {
            AskedFor::Request => self.trusted.bypass(&attempt.key, now),
            AskedFor::Renewal { .. } => Bypass::None,
        };
        let trust = match &bypass {
            Bypass::Granted(_) => Trust::Trusted,
            Bypass::Resting(left) => Trust::Resting(*left),
            Bypass::None if asked_for != AskedFor::Request && self.trusted.is_trusted(&attempt.key, now) => {
                Trust::Trusted
            }
            Bypass::None => Trust::Untrusted,
        };
        let share = if trust == Trust::Trusted { Share::Trusted } else { Share::Untrusted };
        self.check(attempt, identifier, trust, asked_for)?;
        // One at a time for all identifiers of a user, so that failures are counted before the next one leaves.
        let renewal = match asked_for {
            AskedFor::Renewal { time } if share == Share::Trusted => Some(time),
            _ => None,
        };
        let permit_request = PermitRequest {
            share,
            identifier: self.attempts.subject(identifier),
            source: attempt.source,
            renewal,
        };
        let turn = match either(self.sign_in_limiter.permit(permit_request), gone).await {
            Either::First(turn) => turn,
            Either::Second(()) => Err(NoPermit { earliest: Duration::ZERO }),
        };
        let mut permit = turn.map_err(|NoPermit { earliest }| {
            if self.closed.load(Ordering::Acquire) {
                return rejections::unavailable("shut_down");
            }
            Rejection::new(RejectionKind::UpstreamRateLimited)
                .retry_after_at_least(self.jitter.later(earliest, 0.1))
        })?;
        // Others of this identifier may have been answered while this one waited.
        self.check(attempt, identifier, trust, asked_for)?;
        let now = self.clock.now();
        if asked_for != AskedFor::Request && trust == Trust::Trusted {
            bypass = self.trusted.bypass(&attempt.key, now);
            if let Bypass::Resting(left) = bypass {
                self.check(attempt, identifier, Trust::Resting(left), asked_for)?;
            }
        }
        let pass = self.enter(identifier, now)?;
        let since = self.revocations.now();
        permit.start();
        start.start(now);
        let mut time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let check = PasswordCheck {
            credentials: &attempt.credentials,
            device_name: &device_name(attempt.credentials.identifier()),
            identifier,
            untrusted: trust == Trust::Untrusted && asked_for == AskedFor::Request,
            attempts: &self.attempts,
            renewal: matches!(asked_for, AskedFor::Renewal { .. }),
            follows: attempt.follows,
            followed: &attempt.followed,
            sign_in_limiter: &self.sign_in_limiter,
            permit_request,
        };
        let answer = self.provider.prove(check, &mut permit, &mut time).await;
        if let Err(error) = &answer
            && let ErrorClass::Refused(refusal) = error.class
            && share == Share::Untrusted
        {
            if error.code.as_deref() == Some(PAUSED) {
                self.attempts.refused_unasked(identifier, self.clock.now());
            } else {
                let failure = rejections::failure_of(refusal);
                self.attempts.failed(identifier, failure, error.lockout_warning, self.clock.now());
            }
        }
        let unjudged =
            [ErrorClass::Unavailable, ErrorClass::Unknown, ErrorClass::RateLimited, ErrorClass::NoPermit];
        if !answer.as_ref().is_err_and(|error| unjudged.contains(&error.class)) {
            bypass.used();
        }
        Ok(Asked { answer, permit, pass, since, started: now, time })
    }

    /// What speaks against asking Clerk about this credential now.
    fn check(
        &self,
        attempt: &Attempt,
        identifier: IdentifierKey,
        trust: Trust,
        asked_for: AskedFor,
    ) -> Result<(), Rejection> {
        let now = self.clock.now();
        if self.closed.load(Ordering::Acquire) {
            return Err(rejections::unavailable("shut_down"));
        }
        if let Some(rejection) = self.refused_already(attempt, now) {
            return Err(rejection);
        }
        match (trust, asked_for) {
            (Trust::Trusted, _) => {}
            // Neither a guess nor a reason to hold anything against the credential: it is asked about a little later.
            (Trust::Resting(left), _) if self.attempts.is_paused(identifier, now) => {
                return Err(Rejection::new(RejectionKind::UpstreamRateLimited).retry_after_at_least(left));
            }
            (_, AskedFor::Renewal { .. }) if self.attempts.is_paused(identifier, now) => {
                return Err(rejections::unavailable("paused"));
            }
            _ => self.attempts.may_ask(identifier, now).map_err(|pause| match pause {
                Pause::Rejected => {
                    // Remembered as if Clerk had said it, or asking twice would tell who was asked.
                    let rejection = Rejection::new(RejectionKind::CredentialsRejected);
                    self.remember(attempt.key, &rejection, Repeats::Lengthen);
                    rejection
                }
                Pause::Throttled(left) => Rejection::new(RejectionKind::Throttled).retry_after_at_least(left),
            })?,
        }
        self.circuit.check(now).map_err(away)
    }

    fn enter(&self, identifier: IdentifierKey, now: Instant) -> Result<Pass, Rejection> {
        self.circuit.enter(identifier.short(), now).map_err(away)
    }
}

/// What Clerk is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedFor {
    /// A request waits for it.
    Request,
    /// Nobody waits: the session at hand serves on, for so long.
    Renewal { time: Duration },
}

/// What is known of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Trusted,
    /// Proven, but what that is good for was used a moment ago; for how long it rests.
    Resting(Duration),
    Untrusted,
}

/// A sign-in that Clerk was asked for.
pub(super) struct Asked {
    pub(super) answer: Result<ProvenPassword, ApiError>,
    pub(super) permit: SignInPermit,
    /// To be told how it ended.
    pub(super) pass: Pass,
    pub(super) since: Generation,
    /// When the password was shown, at the earliest.
    pub(super) started: Instant,
    pub(super) time: TimeLeft,
}

fn away(wait: Duration) -> Rejection {
    rejections::from_api_error(&ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })
}
