//! The sign-in flight, which takes a credential that has no live session to one that has (rules S1-S6, K8, K11), and
//! the renewal of a proof before it ends (rule K12).

mod adopt;
mod ask;
mod candidate;
mod failure;
mod leave;
mod open;
mod renew;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

pub(crate) use self::renew::PROOF_RENEWAL_PAUSE;

use self::ask::{Asked, AskedFor};
use self::open::ProvenSession;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::clock::{ClerkTime, Clock};
use crate::credentials::Credentials;
use crate::engine::login_records::LoginRecords;
use crate::engine::mint::Minter;
use crate::engine::pending_proofs::{PendingProof, PendingProofs};
use crate::engine::rejections;
use crate::engine::session_reaper::SessionReaper;
use crate::engine::trusted_credentials::TrustedCredentials;
use crate::flight::Start;
use crate::jitter::Jitter;
use crate::key::{CredentialKey, KeySecret, device_name, normalize_identifier};
use crate::limits::{Circuit, Denials, Epoch, FailureCounts, Forgiven, Pass, SignInLimiter, WarnThrottle};
use crate::provider::{ProvenPassword, Provider};
use crate::rejection::Rejection;
use crate::scope::OrganizationName;
use crate::sessions::{Concerned, EndQueue, Generation, Proof, Revocations, Sessions, Users};
use crate::settings::Settings;
use crate::store::{EngineState, Waited};
use crate::sync::lock;

/// A sign-in that brought no session.
#[derive(Clone, Debug)]
pub(crate) enum SignInError {
    Rejected(Rejection),
    /// The result was overtaken, usually by a revocation. The request may sign in once more (rule S5).
    Superseded,
}

impl From<Rejection> for SignInError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The result of a sign-in, and the deadline for the calls that follow it in a request.
#[derive(Clone)]
pub(crate) struct SignInOutcome {
    pub(crate) result: Result<Arc<Proof>, SignInError>,
    pub(crate) deadline: Instant,
    /// The proof is from a login record, and Clerk was not asked.
    pub(crate) is_adopted: bool,
}

impl SignInOutcome {
    pub(crate) fn of(result: Result<Arc<Proof>, SignInError>, deadline: Instant) -> Self {
        Self { result, deadline, is_adopted: false }
    }
}

/// The result of opening a session for another organization, and the deadline for the calls that follow it in a
/// request.
#[derive(Clone)]
pub(crate) struct OpenOutcome {
    pub(crate) result: Result<(), SignInError>,
    pub(crate) deadline: Instant,
    /// The start of the flight.
    pub(crate) since: Generation,
}

/// The input of a sign-in.
pub(crate) struct Attempt {
    pub(crate) key: CredentialKey,
    pub(crate) credentials: Credentials,
    pub(crate) source: Option<u64>,
    /// The organization of the request, which the first session is opened for if the user is a member.
    pub(crate) organization: Option<OrganizationName>,
    /// This sign-in was caused by an earlier answer, so it must not cause another one (rule S5).
    pub(crate) follows: bool,
    /// Set when the answer to this sign-in has caused another one.
    pub(crate) followed: Arc<AtomicBool>,
    /// A refusal of this sign-in is void if its identifier is forgiven from here on (rule K11).
    pub(crate) since: Epoch,
    /// The time spent waiting for the store (rule H3).
    pub(crate) waited: Waited,
}

impl Attempt {
    pub(crate) fn new(
        key: CredentialKey,
        credentials: Credentials,
        source: Option<u64>,
        organization: Option<OrganizationName>,
        since: Epoch,
    ) -> Self {
        Self {
            key,
            credentials,
            source,
            organization,
            follows: false,
            followed: Arc::default(),
            since,
            waited: Waited::default(),
        }
    }

    /// A copy for the flight, which outlives the request.
    pub(crate) fn again(&self) -> Self {
        Self {
            key: self.key,
            credentials: self.credentials.clone(),
            source: self.source,
            organization: self.organization.clone(),
            follows: self.follows,
            followed: Arc::clone(&self.followed),
            since: self.since,
            waited: self.waited.clone(),
        }
    }
}

/// The state that the sign-ins of one engine share.
pub(crate) struct SignIns {
    pub(crate) provider: Arc<Provider>,
    pub(crate) secret: Arc<KeySecret>,
    pub(crate) minter: Arc<Minter>,
    /// Permits for proving passwords. With the Backend API, opening a session takes a permit of the provider's limiter.
    pub(crate) sign_in_limiter: Arc<SignInLimiter>,
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) denials: Denials,
    pub(crate) failures: Arc<FailureCounts>,
    pub(crate) forgiven: Arc<Forgiven>,
    pub(crate) trusted: TrustedCredentials,
    pub(crate) pending_proofs: PendingProofs,
    /// The state that outlives the process, if there is a store for it.
    pub(crate) state: EngineState,
    #[cfg(feature = "redis")]
    pub(crate) cluster: Option<Arc<crate::cluster::Cluster>>,
    pub(crate) records: Arc<LoginRecords>,
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
    /// The engine is shutting down, and no sign-in starts.
    pub(crate) closed: AtomicBool,
}

impl SignIns {
    /// The remembered denial of this credential, or of all credentials while the instance is misconfigured.
    pub(crate) async fn refused_already(&self, attempt: &Attempt, now: Instant) -> Option<Rejection> {
        if let Some(rejection) = self.denials.get(&attempt.key, now) {
            // A known device makes a denial by Device Trust obsolete, and the user may have been enrolled since.
            if !(rejections::is_for_want_of_a_device(&rejection) && self.has_device(attempt).await) {
                return Some(rejection);
            }
            self.denials.forget(&attempt.key);
        }
        let misconfigured = lock(&self.misconfigured);
        misconfigured.as_ref().filter(|(until, _)| now < *until).map(|(_, rejection)| rejection.clone())
    }

    async fn has_device(&self, attempt: &Attempt) -> bool {
        let device_name = device_name(attempt.credentials.identifier());
        self.provider.knows_device(&device_name).await
    }

    /// Adopts a login record, or waits for a permit, asks Clerk, and stores the outcome.
    ///
    /// `gone` resolves when the last waiter has left, which takes the flight out of the queue. A sign-in that has
    /// started runs to its end.
    pub(crate) async fn run(
        &self,
        attempt: Attempt,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> SignInOutcome {
        let waited = attempt.waited.clone();
        waited.during(self.adopt_or_ask(attempt, start, gone)).await
    }

    async fn adopt_or_ask(
        &self,
        attempt: Attempt,
        start: &Start<SignInOutcome>,
        gone: impl Future<Output = ()>,
    ) -> SignInOutcome {
        if let Some(outcome) = self.resume(&attempt, start).await {
            return outcome;
        }
        let mut gone = std::pin::pin!(gone);
        if let Some(outcome) = self.adopt(&attempt, start, gone.as_mut()).await {
            return outcome;
        }
        match self.ask(&attempt, AskedFor::Request, start, gone).await {
            Err(rejection) => SignInOutcome::of(Err(rejection.into()), self.clock.now()),
            Ok(Asked { answer, permit, pass, since, time, .. }) => match answer {
                Ok(proved) => {
                    permit.proved();
                    drop(permit);
                    self.finish(&attempt, proved, pass, since, time).await
                }
                Err(error) => {
                    self.report_to_circuit(pass, Some(&error));
                    self.drop_refused(&attempt, &error);
                    let result = Err(self.on_failure(&attempt, &error).into());
                    SignInOutcome::of(result, self.clock.now() + time.left())
                }
            },
        }
    }

    /// Continues from a pending proof, which lacks only its session.
    async fn resume(&self, attempt: &Attempt, start: &Start<SignInOutcome>) -> Option<SignInOutcome> {
        let now = self.clock.now();
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        // Before the proof is taken: an open circuit must not cost the user another check of the password.
        self.circuit.check(now).ok()?;
        // A revocation from before this voids the proof, and a later one is found by `commit`.
        let since = self.revocations.now();
        let proof = self.pending_proofs.take(&attempt.key, now)?;
        let normalized = normalize_identifier(attempt.credentials.identifier());
        let pass = self.circuit.enter(self.secret.identifier(&normalized).short(), now).ok()?;
        start.start(now);
        let time = TimeLeft::new(self.settings.upstream_timeout, self.clock);
        let (user_id, identifiers) = ((*proof.user.id).into(), proof.identifiers.clone());
        let proved = ProvenPassword { user_id, at: proof.at, identifiers, session: None };
        Some(self.finish(attempt, proved, pass, since, time).await)
    }

    /// Opens a session for a proven password, and stores its proof.
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
        self.report_to_circuit(pass, opened.as_ref().err());
        let deadline = self.clock.now() + time.left();
        let result = match opened {
            // Verifying the session's token may have to fetch the key set, so it gets the time that is left.
            Ok(opened) => {
                self.open(attempt, ProvenSession { opened, identifiers, at }, since, time.left()).await
            }
            Err(error) => {
                if matches!(error.class, ErrorClass::NoPermit | ErrorClass::RateLimited) {
                    let concerned = Concerned::user(&user_id).and_proof(&user_id, at);
                    self.revocations.store_unless_revoked(since, &concerned, || {
                        self.pending_proofs.put(attempt.key, PendingProof::new(user, identifiers, at));
                    });
                }
                self.drop_refused(attempt, &error);
                Err(self.on_failure(attempt, &error).into())
            }
        };
        SignInOutcome::of(result, deadline)
    }

    pub(super) fn report_to_circuit(&self, pass: Pass, error: Option<&ApiError>) {
        report_to_circuit(pass, error, self.clock.now());
    }
}

/// Tells a circuit how a call went that it has let pass.
pub(crate) fn report_to_circuit(pass: Pass, error: Option<&ApiError>, now: Instant) {
    match error {
        Some(error) if error.is_outage() => pass.failed(now),
        Some(error) if error.class == ErrorClass::Unavailable => pass.inconclusive(now),
        // No call was made.
        Some(error) if error.class == ErrorClass::NoPermit => drop(pass),
        _ => pass.answered(),
    }
}
