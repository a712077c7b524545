//! Asking Clerk about a credential: the checks, the wait for a permit, and the call.

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
    /// Asks Clerk about a credential when the checks pass and a permit is free.
    ///
    /// The reason to ask and the trust in the credential (rule K13) decide the rest:
    ///
    /// | asked for | trust     | share     | while paused by failures (rule P3) | bypass                 |
    /// |-----------|-----------|-----------|------------------------------------|------------------------|
    /// | request   | trusted   | trusted   | goes on                            | taken on entry         |
    /// | request   | resting   | untrusted | 503                                | none                   |
    /// | request   | untrusted | untrusted | 401 or 429                         | none                   |
    /// | renewal   | trusted   | trusted   | goes on                            | taken after the permit |
    /// | renewal   | resting   | trusted   | 503                                | none                   |
    /// | renewal   | untrusted | untrusted | 503                                | none                   |
    ///
    /// A renewal learns that its bypass is resting only once it has a permit. All six rows are checked for a shutdown, for a
    /// remembered denial and for an open circuit, both on entry and after the permit. A refusal counts as a failure in
    /// the untrusted share only.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt,
        asked_for: AskedFor,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, Rejection> {
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let identifier = self.secret.identifier(&normalized);
        let (trust, mut bypass) = self.trust(attempt, asked_for);
        self.check(attempt, identifier, trust, asked_for).await?;
        let permit_request = self.permit_request(attempt, identifier, trust, asked_for);
        let mut permit = match self.permit(permit_request, gone).await {
            Ok(permit) => permit,
            Err(rejection) => {
                // Other replicas may have told of a pause, which has an answer of its own.
                #[cfg(feature = "redis")]
                if self.cluster.is_some() {
                    self.check(attempt, identifier, trust, asked_for).await?;
                }
                return Err(rejection);
            }
        };
        // Other sign-ins with this identifier may have been answered while this one was in the queue.
        self.check(attempt, identifier, trust, asked_for).await?;
        let now = self.clock.now();
        if asked_for != AskedFor::Request && trust == Trust::Trusted {
            bypass = self.trusted.bypass(&attempt.key, now);
            if let Bypass::Resting(left) = bypass {
                self.check(attempt, identifier, Trust::Resting(left), asked_for).await?;
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
            failures: &self.failures,
            renewal: matches!(asked_for, AskedFor::Renewal { .. }),
            follows: attempt.follows,
            followed: &attempt.followed,
            sign_in_limiter: &self.sign_in_limiter,
            permit_request,
        };
        let answer = self.provider.prove(check, &mut permit, &mut time).await;
        if let Err(error) = &answer
            && permit_request.share == Share::Untrusted
        {
            self.count_failure(attempt, identifier, error);
        }
        if is_decided(&answer) {
            bypass.used();
        }
        Ok(Asked { answer, permit, pass, since, started: now, time })
    }

    /// The trust in a credential, and the bypass of a request.
    ///
    /// A request takes the bypass on entry, and gives it back unless Clerk compares the password. A renewal takes it
    /// only when it starts, since a request may need it while the renewal is in the queue.
    fn trust(&self, attempt: &Attempt, asked_for: AskedFor) -> (Trust, Bypass) {
        let now = self.clock.now();
        let bypass = match asked_for {
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
        (trust, bypass)
    }

    fn permit_request(
        &self,
        attempt: &Attempt,
        identifier: IdentifierKey,
        trust: Trust,
        asked_for: AskedFor,
    ) -> PermitRequest {
        let share = if trust == Trust::Trusted { Share::Trusted } else { Share::Untrusted };
        let renewal = match asked_for {
            AskedFor::Renewal { time } if share == Share::Trusted => Some(time),
            _ => None,
        };
        // One sign-in at a time for all identifiers of a user, so that its failure is counted before the next one
        // starts.
        let identifier = self.failures.subject(identifier);
        PermitRequest { share, identifier, source: attempt.source, renewal }
    }

    /// Waits for a permit, and leaves the queue when `gone` resolves.
    async fn permit(
        &self,
        request: PermitRequest,
        gone: impl Future<Output = ()>,
    ) -> Result<SignInPermit, Rejection> {
        let permit = match either(self.sign_in_limiter.permit(request), gone).await {
            Either::First(permit) => permit,
            Either::Second(()) => Err(NoPermit { earliest: Duration::ZERO }),
        };
        permit.map_err(|NoPermit { earliest }| {
            if self.closed.load(Ordering::Acquire) {
                return rejections::unavailable("shut_down");
            }
            Rejection::new(RejectionKind::UpstreamRateLimited)
                .with_retry_after(self.jitter.later(earliest, 0.1))
        })
    }

    /// Counts a refusal of Clerk's, or one of the provider in a pause of the user, as a failure (rule P3).
    fn count_failure(&self, attempt: &Attempt, identifier: IdentifierKey, error: &ApiError) {
        let ErrorClass::Refused(refusal) = error.class else { return };
        if error.code.as_deref() == Some(PAUSED) {
            self.failures.refused_unasked(identifier, attempt.since, self.clock.now());
        } else {
            let (failure, now) = (rejections::failure_of(refusal), self.clock.now());
            self.failures.failed(identifier, failure, error.lockout_warning, attempt.since, now);
        }
    }

    /// Rejects the credential if Clerk must not be asked about it now.
    async fn check(
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
        if let Some(rejection) = self.refused_already(attempt, now).await {
            return Err(rejection);
        }
        match (trust, asked_for) {
            (Trust::Trusted, _) => {}
            // Clerk has accepted this credential, so the client gets a 503 and not the 401 of a guess.
            (Trust::Resting(left), _) if self.failures.is_paused(identifier, now) => {
                return Err(Rejection::new(RejectionKind::UpstreamRateLimited).with_retry_after(left));
            }
            (_, AskedFor::Renewal { .. }) if self.failures.is_paused(identifier, now) => {
                return Err(rejections::unavailable("paused"));
            }
            _ => self.failures.may_ask(identifier, now).map_err(|pause| match pause {
                Pause::Rejected(ground) => {
                    // Remembered like Clerk's own refusal. Otherwise a repeated request would show which of the two it
                    // was.
                    let rejection = Rejection::new(RejectionKind::CredentialsRejected);
                    self.remember(attempt, &rejection, ground, Repeats::Lengthen);
                    rejection
                }
                Pause::Throttled(left) => Rejection::new(RejectionKind::Throttled).with_retry_after(left),
            })?,
        }
        self.circuit.check(now).map_err(away)
    }

    fn enter(&self, identifier: IdentifierKey, now: Instant) -> Result<Pass, Rejection> {
        self.circuit.enter(identifier.short(), now).map_err(away)
    }
}

/// The reason to ask Clerk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedFor {
    /// A request waits for the answer.
    Request,
    /// A live proof is due for renewal. No request waits for it, so it may stay in the queue for this long.
    Renewal { time: Duration },
}

/// Whether Clerk has accepted a credential before (rule K13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Clerk has accepted the credential, and its bypass is free. A renewal looks at the bypass only when it starts.
    Trusted,
    /// Clerk has accepted the credential, but its bypass was used less than a minute ago. Carries the time left.
    Resting(Duration),
    Untrusted,
}

/// Clerk's answer about a credential.
pub(super) struct Asked {
    pub(super) answer: Result<ProvenPassword, ApiError>,
    pub(super) permit: SignInPermit,
    pub(super) pass: Pass,
    pub(super) since: Generation,
    /// The start of the call: Clerk has compared the password no earlier.
    pub(super) started: Instant,
    pub(super) time: TimeLeft,
}

/// Whether Clerk has compared the password. Any other answer must not cost the user the bypass (rule K13).
fn is_decided(answer: &Result<ProvenPassword, ApiError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => error.class.is_final() || error.class == ErrorClass::DeviceNotTrusted,
    }
}

fn away(wait: Duration) -> Rejection {
    rejections::from_api_error(&ApiError { retry_after: Some(wait), ..ApiError::unavailable("circuit_open") })
}
