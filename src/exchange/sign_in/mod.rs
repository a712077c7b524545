//! The sign-in flight: from a credential that nobody has vouched for to a live session (rules S1-S6, K8, K11), and the
//! renewal of a proof ahead of its end (rule K12).

mod ask;
mod open;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::ask::{Asked, Purpose};
use self::open::Proven;
use crate::api::{Fault, Meaning, TimeLeft};
use crate::clock::Clock;
use crate::config::Settings;
use crate::credentials::Credentials;
use crate::exchange::attempts::Attempts;
use crate::exchange::circuit::{Circuit, Pass};
use crate::exchange::denials::{Denials, Repeats};
use crate::exchange::ender::Ender;
use crate::exchange::mint::Minter;
use crate::exchange::notices::Notices;
use crate::exchange::pacing::Pacing;
use crate::exchange::proven::Proven as Marks;
use crate::exchange::road::{Proved, Roads};
use crate::exchange::standing::{Proof, Standing};
use crate::exchange::verdict;
use crate::jitter::Jitter;
use crate::key::{CredentialKey, KeySecret, device_name, normalize_identifier};
use crate::rejection::Rejection;
use crate::session::Road;
use crate::store::{Generation, Leavers, LiveSession, Revocations, Sessions, Users};
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
    /// The organization that the session is wanted for first.
    pub(crate) organization: Option<Box<str>>,
    /// It follows from an answer already, so that no other may follow from it (rule S5).
    pub(crate) follows: bool,
    /// Another sign-in has followed from the answer to this one.
    pub(crate) followed: Arc<AtomicBool>,
    /// Told when the sign-in departs: its request's deadline runs from there (rule S6).
    pub(crate) departed: Arc<Notify>,
}

impl Attempt {
    pub(crate) fn new(
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        organization: Option<Box<str>>,
    ) -> Self {
        Self {
            key,
            credentials,
            source,
            organization,
            follows: false,
            followed: Arc::default(),
            departed: Arc::default(),
        }
    }

    /// The same once more, for a flight that outlives its request.
    pub(crate) fn again(&self) -> Self {
        Self {
            key: self.key,
            credentials: self.credentials.clone(),
            source: self.source,
            organization: self.organization.clone(),
            follows: self.follows,
            followed: Arc::clone(&self.followed),
            departed: Arc::clone(&self.departed),
        }
    }
}

/// Signs in.
pub(crate) struct SignIns {
    pub(crate) road: Arc<Roads>,
    pub(crate) secret: Arc<KeySecret>,
    pub(crate) minter: Arc<Minter>,
    /// Whose turn it is to have a password proven.
    pub(crate) pacing: Arc<Pacing>,
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) denials: Denials,
    pub(crate) attempts: Attempts,
    pub(crate) proven: Marks,
    pub(crate) standing: Standing,
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
    pub(crate) fn refused_already(&self, attempt: &Attempt, now: Instant) -> Option<Rejection> {
        if let Some(rejection) = self.denials.get(&attempt.key, now) {
            // What was refused for want of a known device is asked again as soon as there is one.
            if !(verdict::is_for_want_of_a_device(&rejection) && self.has_device(attempt)) {
                return Some(rejection);
            }
            self.denials.forget(&attempt.key);
        }
        let misconfigured = lock(&self.misconfigured);
        misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
    }

    fn has_device(&self, attempt: &Attempt) -> bool {
        let device_name = device_name(attempt.credentials.identifier());
        self.road.frontend().is_some_and(|road| road.devices.get(&device_name).is_some())
    }

    /// Waits for a turn, asks Clerk, and stores what came of it. Nobody waiting any more (`gone`) gives the turn
    /// up; a sign-in that has departed runs to its end.
    pub(crate) async fn fly(&self, attempt: Attempt, gone: impl Future<Output = ()>) -> SignInOutcome {
        if let Some(outcome) = self.go_on(&attempt).await {
            return outcome;
        }
        match self.ask(&attempt, Purpose::Request, gone).await {
            Err(rejection) => SignInOutcome { result: Err(rejection.into()), deadline: self.clock.now() },
            Ok(Asked { answer, permit, pass, since, time }) => match answer {
                Ok(proved) => {
                    permit.proved();
                    drop(permit);
                    self.land(&attempt, proved, pass, since, time).await
                }
                Err(fault) => {
                    self.tell(pass, Some(&fault));
                    self.end_idle(&attempt, &fault);
                    let result = Err(self.judge(&attempt, &fault).into());
                    SignInOutcome { result, deadline: self.clock.now() + time.left() }
                }
            },
        }
    }

    /// Goes on from a proof of a moment ago that only lacks its session.
    async fn go_on(&self, attempt: &Attempt) -> Option<SignInOutcome> {
        let now = self.clock.now();
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        let proof = self.standing.take(&attempt.key, now)?;
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let pass = self.circuit.enter(self.secret.identifier(&normalized).short(), now).ok()?;
        attempt.departed.notify_one();
        let time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let (user_id, identifiers) = (proof.user_id.clone(), proof.identifiers.clone());
        let proved = Proved { user_id, at: proof.at, identifiers, session: None };
        Some(self.land(attempt, proved, pass, proof.since, time).await)
    }

    /// From a proven password to a session that is stored.
    async fn land(
        &self,
        attempt: &Attempt,
        proved: Proved,
        pass: Pass,
        since: Generation,
        mut time: TimeLeft,
    ) -> SignInOutcome {
        let at = proved.at;
        let (user_id, identifiers) = (proved.user_id.clone(), proved.identifiers.clone());
        let opened = self.road.open(proved, attempt.organization.as_deref(), &mut time).await;
        self.tell(pass, opened.as_ref().err());
        let deadline = self.clock.now() + time.left();
        let result = match opened {
            // Opening the session verifies its token, which may have to fetch the keys: it has what is left.
            Ok(opened) => self.open(attempt, Proven { opened, identifiers, at }, since, time.left()).await,
            Err(fault) => {
                if matches!(fault.meaning, Meaning::NoTurn | Meaning::RateLimited) {
                    self.standing.put(attempt.key, Proof { user_id, identifiers, at, since });
                }
                self.end_idle(attempt, &fault);
                Err(self.judge(attempt, &fault).into())
            }
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
            Ok(Asked { answer, permit, pass, since, time }) => {
                self.tell(pass, answer.as_ref().err());
                let proved = match answer {
                    Ok(proved) => Ok(Some(proved)),
                    Err(fault) if fault.proves_password => Ok(None),
                    Err(fault) => Err(fault),
                };
                match proved {
                    Ok(proved) => {
                        permit.proved();
                        drop(permit);
                        deadline = self.clock.now() + time.left();
                        match proved {
                            Some(Proved { session: Some(opened), identifiers, at, .. }) => {
                                let proven = Proven { opened, identifiers, at };
                                self.replace(&attempt, live, proven, since, deadline).await
                            }
                            // The identifier has passed to another user: this session is none of theirs.
                            Some(proved) if proved.user_id != live.user.id => {
                                self.expel(live);
                                Err(SignInFault::Superseded)
                            }
                            proved => {
                                let identifiers = proved.map(|proved| proved.identifiers).unwrap_or_default();
                                self.proven_anew(&attempt, live, &identifiers, since)
                            }
                        }
                    }
                    Err(fault) => {
                        let rejection = self.judge(&attempt, &fault);
                        if fault.meaning.is_verdict() {
                            self.expel(live);
                        }
                        Err(rejection.into())
                    }
                }
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

    /// The password of this session has been proven, and the session serves on.
    fn proven_anew(
        &self,
        attempt: &Attempt,
        live: &Arc<LiveSession>,
        identifiers: &[String],
        since: Generation,
    ) -> Result<Arc<LiveSession>, SignInFault> {
        self.vouch(attempt, live, identifiers);
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

    /// Tells the circuit how it ended.
    fn tell(&self, pass: Pass, fault: Option<&Fault>) {
        match fault.map(|fault| fault.meaning) {
            Some(Meaning::Unavailable) => pass.failed(self.clock.now()),
            // Nobody was asked.
            Some(Meaning::NoTurn) => drop(pass),
            _ => pass.answered(),
        }
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
            // On the other road the budget that was spent is paused where the call was made.
            Meaning::RateLimited if self.road.name() == Road::Frontend => {
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
