//! The engine: one per Clerk instance. What happens in which order is decided here and nowhere else.

mod background;
pub(crate) mod builder;
mod deadline;
mod enroll;
mod exchange;
#[cfg(feature = "metrics")]
mod metrics;
mod mint;
mod open_for;
mod pending_proofs;
mod preflight;
mod rejections;
mod revoke;
mod session_reaper;
mod shutdown;
mod sign_in;
mod stats;
mod trusted_credentials;
mod warm;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::access::Access;
use crate::clerk_api::Caller;
use crate::clerk_api::bapi::Bapi;
use crate::clerk_api::fapi::Fapi;
use crate::clock::{ClerkTime, Clock};
use crate::counters::{Calls, Outcome, Outcomes};
use crate::credentials::{BasicToken, Credentials, Decoding};
use crate::flight::SingleFlight;
use crate::jwt::{FetchFuture, Jwks};
use crate::key::{CredentialKey, PassThrough, Strategy};
use crate::limits::{Attempts, Budget, CallLimiter, Circuit, Denials, SignInLimiter, WarnThrottle};
use crate::provider::{
    Backend, Devices, Frontend, MintError, OpenSessions, Passwords, Provider, TimingEqualizer, Verifier,
};
use crate::rejection::Rejection;
use crate::scope::{OrganizationName, Scope};
use crate::session::ClerkSession;
use crate::sessions::{EndQueue, HeldToken, HoldingKey, Proof, Revocations, Sessions, Users};
use crate::settings::Settings;

use self::builder::{BackendSetup, Setup};
use self::mint::{MintLimits, Minter};
use self::pending_proofs::PendingProofs;
use self::session_reaper::SessionReaper;
use self::sign_in::{OpenOutcome, SignInOutcome, SignIns};
use self::trusted_credentials::TrustedCredentials;

pub use self::builder::{ClerkBuilder, ConfigError};
pub use self::enroll::{Enrollment, EnrollmentFactor};
pub use self::preflight::{Finding, FindingKind};
pub use self::stats::Stats;

/// Sign-ins and mints under way at a time (rule K7). The queue for the sign-in budget is far shorter; this bounds
/// an engine without a budget.
const MAX_FLIGHTS: usize = 10_000;

/// So much sooner than its request a mint gives up: else the request would leave a flight behind that is about to
/// end, for the next one to join.
const MINT_MARGIN: Duration = Duration::from_millis(20);

/// How much of the Backend API's budget proofs of passwords may take: a quarter, at two calls each, so that half of it
/// is always left to tokens.
fn proofs_of((calls, window): (u32, Duration)) -> (u32, Duration) {
    // As even as the calls themselves, or a crowd that is let in at once waits for its calls instead.
    if calls >= 40 { (calls / 40, window / 10) } else { ((calls / 4).max(1), window) }
}

/// Signs users of one Clerk instance in by their passwords, and keeps what that brings.
///
/// Cheap to clone: all clones share the sessions, the sign-in budget and the key set. Any number of layers can
/// stand on one engine, and then one sign-in serves them all. It works without any layer, too.
///
/// ```no_run
/// use tower_clerk::{Access, Clerk, Credentials};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").build()?;
/// let credentials = Credentials::new("jane@example.com", "correct horse battery staple")?;
/// let session = clerk.authenticate(&credentials, &Access::new().organization("acme")).await?;
/// println!("{} until {:?}", session.user_id(), session.expires_at());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Clerk(Arc<Inner>);

struct Inner {
    sign_ins: Arc<SignIns>,
    sign_in_flights: Arc<SingleFlight<CredentialKey, SignInOutcome, PassThrough>>,
    openings: Arc<SingleFlight<OpeningKey, OpenOutcome>>,
    mint_flights: Arc<SingleFlight<MintKey, Result<Arc<HeldToken>, MintError>>>,
    fapi: Arc<Fapi>,
    calls: Arc<Calls>,
    jwks: Arc<Jwks>,
    outcomes: Outcomes,
    backend_rate: Option<(u32, Duration)>,
    settings: Settings,
    clock: Clock,
}

/// A mint is for one holding and one kind of token.
type MintKey = (HoldingKey, Scope);

/// A session is opened for a holding and an organization, as it was asked for.
type OpeningKey = (HoldingKey, Option<OrganizationName>);

impl Clerk {
    /// Sets up an engine for an instance: its publishable key (`pk_live_…`, `pk_test_…`), or the address of its
    /// Frontend API.
    pub fn builder(instance: impl Into<String>) -> ClerkBuilder {
        ClerkBuilder::new(instance.into())
    }

    pub(crate) fn from_setup(setup: Setup) -> Self {
        let Setup { instance, issuer, transport, secret, settings, budget, devices, backend, clock, jitter } =
            setup;
        let (jitter, timeout, secret) = (Arc::new(jitter), settings.upstream_timeout, Arc::new(secret));
        let (calls, time) = (Arc::<Calls>::default(), Arc::new(ClerkTime::new(clock)));
        let caller =
            |base, transport| Caller::new(base, transport, clock, Arc::clone(&time), Arc::clone(&calls));
        let fapi = Arc::new(Fapi::new(caller(instance, transport)));
        let sign_in_pacing = SignInLimiter::new(budget, clock);
        let backend_rate = backend.as_ref().map(|backend| backend.rate);
        // A sign-in, its wait for a ticket's turn, and what opens its session; or a mint and its wait for a place.
        let revocations = Arc::new(Revocations::new(3 * timeout + settings.sign_in_wait));
        let (provider, sign_in_limiter) = match backend {
            None => {
                let devices = Arc::new(Devices::new(devices, Arc::clone(&time)));
                let (fapi, sign_in_limiter) = (Arc::clone(&fapi), Arc::clone(&sign_in_pacing));
                (Provider::Frontend(Frontend::new(fapi, devices, sign_in_limiter, clock)), sign_in_pacing)
            }
            Some(BackendSetup { base, transport, key, rate, sessions, options }) => {
                let bapi = Bapi::new(caller(base, transport), key, CallLimiter::new(rate, clock));
                let proofs = Budget { sign_ins: Some(proofs_of(rate)), ..budget };
                let timing = TimingEqualizer::new(timeout / 2, clock, Arc::clone(&jitter));
                let secret = Arc::clone(&secret);
                let passwords =
                    Passwords::new(Arc::new(bapi), timing, secret, clock, options.ignore_second_factor);
                let kept = OpenSessions::new(sessions, settings.max_sessions, Arc::clone(&time));
                let (fapi, revocations) = (Arc::clone(&fapi), Arc::clone(&revocations));
                let lifetime = options.token_lifetime;
                let provider = Backend::new(passwords, kept, fapi, sign_in_pacing, revocations, lifetime);
                (Provider::Backend(Box::new(provider)), SignInLimiter::new(proofs, clock))
            }
        };
        let provider = Arc::new(provider);
        let fetcher = Arc::clone(&fapi);
        let fetch_keys = move || {
            let fapi = Arc::clone(&fetcher);
            Box::pin(async move { fapi.jwks().await }) as FetchFuture
        };
        let jwks = Arc::new(Jwks::new(Box::new(fetch_keys), clock, timeout));
        let minter = Arc::new(Minter {
            provider: Arc::clone(&provider),
            verifier: Verifier::new(Arc::clone(&jwks), issuer.into(), clock, Arc::clone(&time)),
            clock,
            timeout: timeout - MINT_MARGIN,
            jitter: Arc::clone(&jitter),
            revocations: Arc::clone(&revocations),
            limits: MintLimits::default(),
        });
        let end_queue = EndQueue::new(provider.keeps_sessions());
        let sign_ins = Arc::new(SignIns {
            provider: Arc::clone(&provider),
            secret,
            minter,
            sign_in_limiter,
            circuit: Arc::new(Circuit::default()),
            denials: Denials::new(settings.negative_ttl),
            attempts: Attempts::new(),
            trusted: TrustedCredentials::new(settings.max_sessions, clock.now()),
            pending_proofs: PendingProofs::new(settings.session_ttl),
            sessions: Sessions::new(settings.max_sessions, clock, Arc::clone(&end_queue)),
            users: Users::default(),
            revocations,
            reaper: SessionReaper::new(provider, Arc::clone(&end_queue), clock, timeout),
            end_queue,
            settings: settings.clone(),
            clock,
            time,
            jitter,
            misconfigured: Mutex::new(None),
            warnings: WarnThrottle::default(),
            closed: AtomicBool::new(false),
        });
        Self(Arc::new(Inner {
            sign_ins,
            sign_in_flights: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            openings: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            mint_flights: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            fapi,
            calls,
            jwks,
            outcomes: Outcomes::default(),
            backend_rate,
            settings,
            clock,
        }))
    }

    /// Exchanges credentials for a session, from what is held where that will do.
    ///
    /// A caller that drops the future cancels nothing that others wait for, nor a sign-in that has started.
    ///
    /// # Errors
    ///
    /// A [`Rejection`], whose kind says why.
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let key = self.key_of_credentials(credentials);
        let Some(held) = self.held(&key, access) else {
            return self.exchange(key, credentials.clone(), None, access).await;
        };
        if let Some(due) = held.proof_due {
            self.renew_proof(due, credentials.clone());
        }
        Ok(held.session)
    }

    /// The key that a credential's session is found under: made of the token as it stands in the header.
    pub(crate) fn key_of(&self, token: BasicToken<'_>, decoding: Decoding) -> CredentialKey {
        self.0.sign_ins.secret.credential(Strategy::Password, decoding, token.as_bytes())
    }

    fn key_of_credentials(&self, credentials: &Credentials) -> CredentialKey {
        self.0.sign_ins.secret.credential(Strategy::Password, Decoding::Plain, &credentials.token())
    }

    /// The way of a hit: the session, if it and a token for this access are there and good. What is due for renewal
    /// is begun in the background, or, where that takes the password, handed back to be begun.
    pub(crate) fn held(&self, key: &CredentialKey, access: &Access) -> Option<Hit> {
        let now = self.0.clock.now();
        let proof = self.0.sign_ins.sessions.get(key, now)?;
        let (session, token_due) = proof.holding.tokens.good(access, now, &self.0.sign_ins.revocations)?;
        if token_due {
            self.renew_token(&proof.holding, access, now);
        }
        self.count(Outcome::Hit);
        let proof_due = (proof.renewal.is_open(now) && proof.renewal.pass(now)).then_some(proof);
        Some(Hit { session, proof_due })
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.0.outcomes.count(outcome);
    }

    /// What has happened so far, and how things stand.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (inner, sign_ins) = (&self.0, &self.0.sign_ins);
        let life = sign_ins.provider.sign_in_life(inner.settings.session_ttl);
        let per_second = |(count, window): (u32, Duration)| f64::from(count) / window.as_secs_f64();
        let sign_in_rate = inner.settings.sign_in_rate.map(per_second);
        let users_per_address = sign_in_rate.map(|rate| (rate * life.as_secs_f64()) as u64);
        let active_users = inner
            .backend_rate
            .map(per_second)
            .map(|rate| (rate * 0.75 * sign_ins.provider.token_life().as_secs_f64()) as u64);
        Stats {
            requests: inner.outcomes.all(),
            upstream: inner.calls.all(),
            api: sign_ins.provider.api(),
            sessions: sign_ins.sessions.len(),
            denials: sign_ins.denials.len(),
            trusted_credentials: sign_ins.trusted.len(),
            attempts: sign_ins.attempts.len(),
            sign_in_flights: inner.sign_in_flights.len(),
            mint_flights: inner.mint_flights.len(),
            sign_in_queue: sign_ins.sign_in_limiter.waiting() + sign_ins.provider.waiting(),
            ending: sign_ins.end_queue.outstanding(),
            not_ended: sign_ins.end_queue.dropped(),
            sign_in_circuit: sign_ins.circuit.state(),
            mint_circuit: sign_ins.minter.circuit(),
            users_per_address,
            active_users,
        }
    }
}

/// A hit.
pub(crate) struct Hit {
    pub(crate) session: ClerkSession,
    /// The proof of this session's password is due to be renewed, which takes the password.
    pub(crate) proof_due: Option<Arc<Proof>>,
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("sessions", &self.0.sign_ins.sessions.len()).finish_non_exhaustive()
    }
}

/// An engine straight from a publishable key, with all defaults.
impl TryFrom<&str> for Clerk {
    type Error = ConfigError;

    fn try_from(instance: &str) -> Result<Self, Self::Error> {
        Self::builder(instance).build()
    }
}
