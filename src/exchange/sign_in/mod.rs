//! The sign-in flight: from a credential that nobody has vouched for to a live session (rules S1-S6, K8, K11), and the
//! renewal of a proof ahead of its end (rule K12).

mod ask;
mod open;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::ask::{Asked, Purpose};
use crate::clock::Clock;
use crate::config::Settings;
use crate::credentials::Credentials;
use crate::exchange::attempts::Attempts;
use crate::exchange::circuit::Circuit;
use crate::exchange::denials::{Denials, Repeats};
use crate::exchange::ender::Ender;
use crate::exchange::mint::Minter;
use crate::exchange::notices::Notices;
use crate::exchange::pacing::Pacing;
use crate::exchange::proven::Proven;
use crate::exchange::verdict;
use crate::fapi::{Fapi, Fault, Meaning};
use crate::jitter::Jitter;
use crate::key::{CredentialKey, KeySecret};
use crate::rejection::Rejection;
use crate::store::{Leavers, LiveSession, Revocations, Sessions, Users};
use crate::sync::lock;

/// A wrong set-up is remembered for the whole engine this long (rule K11).
const MISCONFIGURED_FOR: Duration = Duration::from_secs(10);

/// After a renewal that found no room or no Clerk, the next one is tried no sooner.
const PROOF_RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// A sign-in that brought no session.
#[derive(Clone, Debug)]
pub(crate) enum SignInFault {
    Rejected(Rejection),
    /// The user was revoked while the sign-in was under way: its session is ended, and who wants one asks again.
    Superseded,
}

impl From<Rejection> for SignInFault {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// How a sign-in ended, and until when its request may still wait for what follows.
#[derive(Clone)]
pub(crate) struct SignInOutcome {
    pub(crate) result: Result<Arc<LiveSession>, SignInFault>,
    pub(crate) deadline: Instant,
}

/// What a sign-in is for.
pub(crate) struct Attempt {
    pub(crate) key: CredentialKey,
    pub(crate) credentials: Credentials,
    pub(crate) source: Option<u64>,
    /// Told when the sign-in departs: its request's deadline runs from there (rule S6).
    pub(crate) departed: Arc<Notify>,
}

impl Attempt {
    pub(crate) fn new(key: CredentialKey, credentials: Credentials, source: Option<u64>) -> Self {
        Self { key, credentials, source, departed: Arc::default() }
    }

    /// The same once more, for a flight that outlives its request.
    pub(crate) fn again(&self) -> Self {
        Self {
            key: self.key,
            credentials: self.credentials.clone(),
            source: self.source,
            departed: Arc::clone(&self.departed),
        }
    }
}

/// Signs in.
pub(crate) struct SignIns {
    pub(crate) fapi: Arc<Fapi>,
    pub(crate) secret: KeySecret,
    pub(crate) minter: Arc<Minter>,
    pub(crate) pacing: Arc<Pacing>,
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) denials: Denials,
    pub(crate) attempts: Attempts,
    pub(crate) proven: Proven,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) users: Users,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) leavers: Arc<Leavers>,
    pub(crate) ender: Arc<Ender>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) misconfigured: Mutex<Option<(Instant, Rejection)>>,
    pub(crate) notices: Notices,
    /// The engine is being shut down: nobody departs any more.
    pub(crate) closed: AtomicBool,
}

impl SignIns {
    /// What this credential is told without asking Clerk.
    pub(crate) fn refused_already(&self, key: &CredentialKey, now: Instant) -> Option<Rejection> {
        self.denials.get(key, now).or_else(|| {
            let misconfigured = lock(&self.misconfigured);
            misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
        })
    }

    /// Waits for a turn, asks Clerk, and stores what came of it. Nobody waiting any more (`gone`) gives the turn
    /// up; a sign-in that has departed runs to its end.
    pub(crate) async fn fly(&self, attempt: Attempt, gone: impl Future<Output = ()>) -> SignInOutcome {
        let asked = self.ask(&attempt, Purpose::Request, gone).await;
        let (deadline, result) = match asked {
            Ok(Asked { answer, permit, since, deadline }) => {
                let left = deadline.saturating_duration_since(self.clock.now());
                let result = match answer {
                    // Opening the session verifies its token, which may have to fetch the keys: it has what is left.
                    Ok(signed_in) => {
                        permit.proved();
                        drop(permit);
                        self.open(&attempt, signed_in, since, left).await
                    }
                    Err(fault) => Err(self.judge(&attempt, &fault).into()),
                };
                (deadline, result)
            }
            Err(rejection) => (self.clock.now(), Err(rejection.into())),
        };
        SignInOutcome { result, deadline }
    }

    /// Proves the password of a live session anew, ahead of the proof's end. The session serves on meanwhile, and if
    /// there is no room or no answer, to its end.
    pub(crate) async fn renew_proof(&self, attempt: Attempt, live: &Arc<LiveSession>) -> SignInOutcome {
        let left = live.proof_end().saturating_duration_since(self.clock.now());
        let time = left.saturating_sub(self.settings.upstream_timeout);
        let asked = self.ask(&attempt, Purpose::Renewal { time }, std::future::pending()).await;
        let mut deadline = self.clock.now();
        let result = match asked {
            Ok(Asked { answer: Ok(signed_in), permit, since, deadline: until }) => {
                permit.proved();
                drop(permit);
                deadline = until;
                self.replace(&attempt, live, signed_in, since, until).await
            }
            Ok(Asked { answer: Err(fault), permit, since, .. }) if fault.proves_password => {
                permit.proved();
                self.vouch(&attempt, live, None);
                let now = self.clock.now();
                let renewed = self.revocations.store_unless_revoked(
                    since,
                    |target| live.concerns(target),
                    || {
                        live.renew_proof(self.proof(now));
                        self.proven.mark(live.key, &live.user, now);
                    },
                );
                renewed.map(|()| Arc::clone(live)).ok_or(SignInFault::Superseded)
            }
            Ok(Asked { answer: Err(fault), .. }) => {
                let rejection = self.judge(&attempt, &fault);
                if fault.meaning.is_verdict() {
                    self.sessions.remove(live);
                }
                Err(rejection.into())
            }
            Err(rejection) => Err(rejection.into()),
        };
        // Whether it helped or not: a session that stays is tried again after a pause.
        if live.is_live(self.clock.now()) && !live.proof_renewal.is_waiting(self.clock.now()) {
            let pause = self.jitter.later(PROOF_RENEWAL_PAUSE, 1.0);
            live.proof_renewal.open_at(self.clock.now() + pause);
        }
        SignInOutcome { result, deadline }
    }

    /// What a failed sign-in means for this credential, and for all others.
    fn judge(&self, attempt: &Attempt, fault: &Fault) -> Rejection {
        let rejection = verdict::of_fault(fault);
        match fault.meaning {
            meaning if meaning.is_verdict() || meaning == Meaning::DeviceNotTrusted => {
                self.proven.forget(&attempt.key);
                self.remember(attempt.key, &rejection, Repeats::Lengthen);
            }
            Meaning::Unknown => {
                if self.notices.is_due(fault.code.as_deref().unwrap_or_default(), self.clock.now()) {
                    tracing::warn!(
                        code = fault.code.as_deref(),
                        "Clerk answered a sign-in with an error that this version doesn't know"
                    );
                }
                // Asked again sooner, it would be told the same from memory.
                let rejection = rejection.retry_after_at_least(self.settings.negative_ttl);
                self.remember(attempt.key, &rejection, Repeats::Same);
                return rejection;
            }
            Meaning::RateLimited => {
                let pause = fault.retry_after.unwrap_or(verdict::RETRY_RATE_LIMITED);
                tracing::warn!(
                    pause_secs = pause.as_secs(),
                    "Clerk's sign-in quota is spent: nobody signs in until the pause is over"
                );
                self.pacing.pause_until(self.clock.now() + pause);
            }
            Meaning::Misconfigured => {
                tracing::error!(
                    code = fault.code.as_deref(),
                    "sign-ins cannot work: {}",
                    verdict::advice(fault)
                );
                let until = self.clock.now() + MISCONFIGURED_FOR;
                *lock(&self.misconfigured) = Some((until, rejection.clone()));
            }
            _ => {}
        }
        rejection
    }

    fn remember(&self, key: CredentialKey, rejection: &Rejection, repeats: Repeats) {
        self.denials.remember(key, rejection.clone(), repeats, self.clock.now());
    }
}
