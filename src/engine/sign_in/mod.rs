//! The sign-in flight: from a credential that nobody has vouched for to a live session (rules S1-S6, K8, K11), and the
//! renewal of a proof ahead of its end (rule K12).

mod ask;
mod failure;
mod leave;
mod open;
mod renew;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use self::ask::{Asked, AskedFor};
use self::open::ProvenSession;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::clock::{ClerkTime, Clock};
use crate::credentials::Credentials;
use crate::engine::mint::Minter;
use crate::engine::pending_proofs::{PendingProof, PendingProofs};
use crate::engine::rejections;
use crate::engine::session_reaper::SessionReaper;
use crate::engine::trusted_credentials::TrustedCredentials;
use crate::flight::Start;
use crate::jitter::Jitter;
use crate::key::{CredentialKey, KeySecret, device_name, normalize_identifier};
use crate::limits::{Attempts, Circuit, Denials, Pass, SignInLimiter, WarnThrottle};
use crate::provider::{ProvenPassword, Provider};
use crate::rejection::Rejection;
use crate::scope::OrganizationName;
use crate::sessions::{EndQueue, Generation, Proof, Revocations, Sessions, Target, Users};
use crate::settings::Settings;
use crate::sync::lock;

/// A sign-in that brought no session.
#[derive(Clone, Debug)]
pub(crate) enum SignInError {
    Rejected(Rejection),
    /// The user was revoked while the sign-in was under way: its session is ended, and who wants one asks again.
    Superseded,
}

impl From<Rejection> for SignInError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// How a sign-in ended, and until when its request may still wait for what follows.
#[derive(Clone)]
pub(crate) struct SignInOutcome {
    pub(crate) result: Result<Arc<Proof>, SignInError>,
    pub(crate) deadline: Instant,
}

/// How the opening of a session for another organization ended, and until when its request may still wait.
#[derive(Clone)]
pub(crate) struct OpenOutcome {
    pub(crate) result: Result<(), SignInError>,
    pub(crate) deadline: Instant,
}

/// What a sign-in is for.
pub(crate) struct Attempt {
    pub(crate) key: CredentialKey,
    pub(crate) credentials: Credentials,
    pub(crate) source: Option<u64>,
    /// The organization that the session is wanted for first.
    pub(crate) organization: Option<OrganizationName>,
    /// It follows from an answer already, so that no other may follow from it (rule S5).
    pub(crate) follows: bool,
    /// Another sign-in has followed from the answer to this one.
    pub(crate) followed: Arc<AtomicBool>,
}

impl Attempt {
    pub(crate) fn new(
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        organization: Option<OrganizationName>,
    ) -> Self {
        Self { key, credentials, source, organization, follows: false, followed: Arc::default() }
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
        }
    }
}

/// Signs in.
pub(crate) struct SignIns {
    pub(crate) provider: Arc<Provider>,
    pub(crate) secret: Arc<KeySecret>,
    pub(crate) minter: Arc<Minter>,
    /// Whose turn it is to have a password proven.
    pub(crate) sign_in_limiter: Arc<SignInLimiter>,
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) denials: Denials,
    pub(crate) attempts: Attempts,
    pub(crate) trusted: TrustedCredentials,
    pub(crate) pending_proofs: PendingProofs,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) users: Users,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) end_queue: Arc<EndQueue>,
    pub(crate) reaper: Arc<SessionReaper>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) time: Arc<ClerkTime>,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) misconfigured: Mutex<Option<(Instant, Rejection)>>,
    pub(crate) warnings: WarnThrottle,
    /// The engine is being shut down: nobody starts any more.
    pub(crate) closed: AtomicBool,
}

impl SignIns {
    /// What this credential is told without asking Clerk.
    pub(crate) fn refused_already(&self, attempt: &Attempt, now: Instant) -> Option<Rejection> {
        if let Some(rejection) = self.denials.get(&attempt.key, now) {
            // What was refused for want of a known device is asked again as soon as there is one.
            if !(rejections::is_for_want_of_a_device(&rejection) && self.has_device(attempt)) {
                return Some(rejection);
            }
            self.denials.forget(&attempt.key);
        }
        let misconfigured = lock(&self.misconfigured);
        misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
    }

    fn has_device(&self, attempt: &Attempt) -> bool {
        let device_name = device_name(attempt.credentials.identifier());
        self.provider.knows_device(&device_name)
    }

    /// Waits for a turn, asks Clerk, and stores what came of it. Nobody waiting any more (`gone`) gives the turn
    /// up; a sign-in that has started runs to its end.
    pub(crate) async fn run(
        &self,
        attempt: Attempt,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> SignInOutcome {
        if let Some(outcome) = self.resume(&attempt, start).await {
            return outcome;
        }
        match self.ask(&attempt, AskedFor::Request, start, gone).await {
            Err(rejection) => SignInOutcome { result: Err(rejection.into()), deadline: self.clock.now() },
            Ok(Asked { answer, permit, pass, since, time, .. }) => match answer {
                Ok(proved) => {
                    permit.proved();
                    drop(permit);
                    self.finish(&attempt, proved, pass, since, time).await
                }
                Err(error) => {
                    self.tell(pass, Some(&error));
                    self.end_idle(&attempt, &error);
                    let result = Err(self.on_failure(&attempt, &error).into());
                    SignInOutcome { result, deadline: self.clock.now() + time.left() }
                }
            },
        }
    }

    /// Goes on from a proof of a moment ago that only lacks its session.
    async fn resume(&self, attempt: &Attempt, start: &Start<SignInOutcome>) -> Option<SignInOutcome> {
        let now = self.clock.now();
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        let proof = self.pending_proofs.take(&attempt.key, now)?;
        // What was revoked meanwhile is found before a sign-in is spent on it; what comes later, when it is stored.
        let concerns = |target: &Target| matches!(target, Target::User(id) if *id == proof.user_id);
        self.revocations.store_unless_revoked(proof.since, concerns, || ())?;
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let pass = self.circuit.enter(self.secret.identifier(&normalized).short(), now).ok()?;
        start.start(now);
        let time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let (user_id, identifiers) = (proof.user_id.clone(), proof.identifiers.clone());
        let proved = ProvenPassword { user_id, at: proof.at, identifiers, session: None };
        Some(self.finish(attempt, proved, pass, proof.since, time).await)
    }

    /// From a proven password to a session that is stored.
    async fn finish(
        &self,
        attempt: &Attempt,
        proved: ProvenPassword,
        pass: Pass,
        since: Generation,
        mut time: TimeLeft,
    ) -> SignInOutcome {
        let at = proved.at;
        let (user_id, identifiers) = (proved.user_id.clone(), proved.identifiers.clone());
        let user = self.users.of(&user_id);
        let opened = self.provider.open(proved, &user, attempt.organization.as_ref(), since, &mut time).await;
        self.tell(pass, opened.as_ref().err());
        let deadline = self.clock.now() + time.left();
        let result = match opened {
            // Opening the session verifies its token, which may have to fetch the keys: it has what is left.
            Ok(opened) => {
                self.open(attempt, ProvenSession { opened, identifiers, at }, since, time.left()).await
            }
            Err(error) => {
                if matches!(error.class, ErrorClass::NoPermit | ErrorClass::RateLimited) {
                    self.pending_proofs.put(attempt.key, PendingProof { user_id, identifiers, at, since });
                }
                self.end_idle(attempt, &error);
                Err(self.on_failure(attempt, &error).into())
            }
        };
        SignInOutcome { result, deadline }
    }

    /// Tells the circuit how it ended.
    pub(super) fn tell(&self, pass: Pass, error: Option<&ApiError>) {
        match error {
            Some(error) if error.is_outage() => pass.failed(self.clock.now()),
            Some(error) if error.class == ErrorClass::Unavailable => pass.inconclusive(self.clock.now()),
            // No call was made.
            Some(error) if error.class == ErrorClass::NoPermit => drop(pass),
            _ => pass.answered(),
        }
    }
}
