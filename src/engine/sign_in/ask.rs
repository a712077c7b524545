//! Whether Clerk may be asked about a credential now, and what it answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, SignInOutcome, SignIns};
use crate::clerk_api::{Fault, Meaning, TimeLeft};
use crate::engine::proven::Claim;
use crate::engine::verdict;
use crate::flight::Departure;
use crate::key::{IdentifierKey, device_name, normalize_identifier};
use crate::limits::{NoPermit, Pass, Pause, PermitRequest, Repeats, Share, SignInPermit};
use crate::provider::{Asking, PAUSED, Proved};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::Generation;
use crate::sync::{Either, either};

impl SignIns {
    /// Checks, waits for a turn, checks again, and asks Clerk.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt,
        purpose: Purpose,
        departure: &Departure<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, Rejection> {
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let identifier = self.secret.identifier(&normalized);
        // Given back unless Clerk has judged: what never reached it must not cost the user the mark. A renewal uses the mark
        // when it departs: while it waits, a request may need it.
        let now = self.clock.now();
        let mut claim = match purpose {
            Purpose::Request => self.proven.claim(&attempt.key, now),
            Purpose::Renewal { .. } => Claim::None,
        };
        let standing = match &claim {
            Claim::Granted(_) => Standing::Proven,
            Claim::Resting(left) => Standing::Resting(*left),
            Claim::None if purpose != Purpose::Request && self.proven.is_marked(&attempt.key, now) => {
                Standing::Proven
            }
            Claim::None => Standing::Unproven,
        };
        let share = if standing == Standing::Proven { Share::Proven } else { Share::Unproven };
        self.check(attempt, identifier, standing, purpose)?;
        // One at a time for all identifiers of a user, so that failures are counted before the next one leaves.
        let renewal = match purpose {
            Purpose::Renewal { time } if share == Share::Proven => Some(time),
            _ => None,
        };
        let wish = PermitRequest {
            share,
            identifier: self.attempts.subject(identifier),
            source: attempt.source,
            renewal,
        };
        let turn = match either(self.pacing.permit(wish), gone).await {
            Either::First(turn) => turn,
            Either::Second(()) => Err(NoPermit { earliest: Duration::ZERO }),
        };
        let mut permit = turn.map_err(|NoPermit { earliest }| {
            if self.closed.load(Ordering::Acquire) {
                return verdict::unavailable("shut_down");
            }
            Rejection::new(RejectionKind::UpstreamRateLimited)
                .retry_after_at_least(self.jitter.later(earliest, 0.1))
        })?;
        // Others of this identifier may have been answered while this one waited.
        self.check(attempt, identifier, standing, purpose)?;
        let now = self.clock.now();
        if purpose != Purpose::Request && standing == Standing::Proven {
            claim = self.proven.claim(&attempt.key, now);
            if let Claim::Resting(left) = claim {
                self.check(attempt, identifier, Standing::Resting(left), purpose)?;
            }
        }
        let pass = self.enter(identifier, now)?;
        let since = self.revocations.now();
        permit.start();
        departure.depart(now);
        let mut time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let asking = Asking {
            credentials: &attempt.credentials,
            device_name: &device_name(attempt.credentials.identifier()),
            identifier,
            unproven: standing == Standing::Unproven && purpose == Purpose::Request,
            attempts: &self.attempts,
            renewal: matches!(purpose, Purpose::Renewal { .. }),
            follows: attempt.follows,
            followed: &attempt.followed,
            pacing: &self.pacing,
            wish,
        };
        let answer = self.road.prove(asking, &mut permit, &mut time).await;
        if let Err(fault) = &answer
            && let Meaning::Refused(refusal) = fault.meaning
            && share == Share::Unproven
        {
            if fault.code.as_deref() == Some(PAUSED) {
                self.attempts.refused_unasked(identifier, self.clock.now());
            } else {
                let failure = verdict::failure_of(refusal);
                self.attempts.failed(identifier, failure, fault.lockout_warning, self.clock.now());
            }
        }
        let unjudged = [Meaning::Unavailable, Meaning::Unknown, Meaning::RateLimited, Meaning::NoTurn];
        if !answer.as_ref().is_err_and(|fault| unjudged.contains(&fault.meaning)) {
            claim.used();
        }
        Ok(Asked { answer, permit, pass, since, departed: now, time })
    }

    /// What speaks against asking Clerk about this credential now.
    fn check(
        &self,
        attempt: &Attempt,
        identifier: IdentifierKey,
        standing: Standing,
        purpose: Purpose,
    ) -> Result<(), Rejection> {
        let now = self.clock.now();
        if self.closed.load(Ordering::Acquire) {
            return Err(verdict::unavailable("shut_down"));
        }
        if let Some(rejection) = self.refused_already(attempt, now) {
            return Err(rejection);
        }
        match (standing, purpose) {
            (Standing::Proven, _) => {}
            // Neither a guess nor a reason to hold anything against the credential: it is asked about a little later.
            (Standing::Resting(left), _) if self.attempts.is_paused(identifier, now) => {
                return Err(Rejection::new(RejectionKind::UpstreamRateLimited).retry_after_at_least(left));
            }
            (_, Purpose::Renewal { .. }) if self.attempts.is_paused(identifier, now) => {
                return Err(verdict::unavailable("paused"));
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
pub(super) enum Purpose {
    /// A request waits for it.
    Request,
    /// Nobody waits: the session at hand serves on, for so long.
    Renewal { time: Duration },
}

/// What is known of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Proven,
    /// Proven, but what that is good for was used a moment ago; for how long it rests.
    Resting(Duration),
    Unproven,
}

/// A sign-in that Clerk was asked for.
pub(super) struct Asked {
    pub(super) answer: Result<Proved, Fault>,
    pub(super) permit: SignInPermit,
    /// To be told how it ended.
    pub(super) pass: Pass,
    pub(super) since: Generation,
    /// When the password was shown, at the earliest.
    pub(super) departed: Instant,
    pub(super) time: TimeLeft,
}

fn away(wait: Duration) -> Rejection {
    verdict::of_fault(&Fault { retry_after: Some(wait), ..Fault::unavailable("circuit_open") })
}
