//! The engine, one per Clerk instance. This module alone decides what happens in which order.

mod api_keys;
#[cfg(feature = "backend")]
mod backend_client;
mod background;
mod bearer;
pub(crate) mod builder;
mod changes;
mod deadline;
mod departures;
mod ended_session;
mod enroll;
mod exchange;
#[cfg(feature = "federation")]
mod federation;
mod forgive;
mod guards;
mod hit;
mod login_records;
mod membership;
#[cfg(feature = "metrics")]
mod metrics;
mod mint;
mod open_for;
mod pending_proofs;
mod preflight;
mod rejection_log;
mod rejections;
mod revoke;
mod session_reaper;
mod setup;
mod shutdown;
mod sign_in;
mod stats;
mod token;
#[cfg(feature = "token-endpoint")]
mod token_endpoint;
mod trusted_credentials;
mod warm;
#[cfg(feature = "webhook")]
mod webhooks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::clerk_api::fapi::Fapi;
use crate::clock::Clock;
use crate::counters::{Calls, MalformedCounts, Outcome, Outcomes};
use crate::credentials::{BasicToken, Credentials, Decoding};
use crate::flight::SingleFlight;
use crate::jwt::Jwks;
use crate::key::{CredentialKey, PassThrough, Strategy};
use crate::limits::CircuitState;
use crate::provider::MintError;
use crate::rejection::Rejection;
use crate::scope::{OrganizationName, Scope};
use crate::session::ClerkSession;
use crate::sessions::{HeldToken, HoldingKey};
use crate::settings::Settings;

pub(crate) use self::api_keys::KeyAttempt;
use self::api_keys::KeyVerifier;
use self::bearer::Bearer;
use self::rejection_log::RejectionLog;
use self::sign_in::{OpenOutcome, SignInOutcome, SignIns};

#[cfg(feature = "backend")]
pub use self::builder::BackendClientBuilder;
pub use self::builder::{ClerkBuilder, ConfigError};
pub use self::enroll::{Enrollment, EnrollmentFactor};
pub use self::preflight::{Finding, FindingKind};
pub use self::stats::Stats;

/// The engine: signs users of one Clerk instance in by their passwords, and caches their sessions and tokens.
///
/// It is cheap to clone: all clones share the sessions, the sign-in budget and the key set. Build one per Clerk
/// instance and pass clones to as many [layers](crate::ClerkBasicAuthLayer) as needed: one sign-in serves them all. It
/// also works without a layer, through [`authenticate`](Self::authenticate).
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
    bearer: Bearer,
    api_keys: Option<Arc<KeyVerifier>>,
    #[cfg(feature = "federation")]
    federation: Option<Arc<federation::Federation>>,
    outcomes: Outcomes,
    malformed: MalformedCounts,
    #[cfg(feature = "webhook")]
    webhooks: crate::counters::WebhookCounts,
    rejection_log: RejectionLog,
    backend_rate: Option<(u32, Duration)>,
    settings: Settings,
    clock: Clock,
}

/// One mint flight per holding and scope (rule K8).
type MintKey = (HoldingKey, Scope);

/// One opening per holding and organization, as the request names it (rule K8).
type OpeningKey = (HoldingKey, Option<OrganizationName>);

impl Clerk {
    /// Returns a builder for the engine of an instance: its publishable key (`pk_live_…`, `pk_test_…`) or the address
    /// of its Frontend API.
    ///
    /// The key is checked by [`build`](ClerkBuilder::build).
    pub fn builder(instance: impl Into<String>) -> ClerkBuilder {
        ClerkBuilder::new(instance.into())
    }

    /// Exchanges credentials for a session.
    ///
    /// A cached session is returned without a call to Clerk. Otherwise this signs in, or joins a sign-in of the same
    /// credentials that is in flight. Dropping the future cancels neither a sign-in that has started nor work that
    /// other callers wait for.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] if the credentials are refused, or if Clerk can't be asked now; its
    /// [`kind`](Rejection::kind) tells which.
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        self.authenticate_from(None, credentials, access).await
    }

    /// Exchanges credentials for a session, for a request from this source.
    pub(crate) async fn authenticate_from(
        &self,
        source: Option<u64>,
        credentials: &Credentials,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let key = self.key_of_credentials(credentials);
        let Some(held) = self.held(&key, access) else {
            return self.exchange_credentials(key, credentials.clone(), source, access).await;
        };
        if let Some(due) = held.proof_due {
            self.renew_proof(&due, credentials.clone());
        }
        Ok(held.session)
    }

    /// The cache key of a credential: a keyed hash of the token as it stands in the header.
    pub(crate) fn key_of(&self, token: BasicToken<'_>, decoding: Decoding) -> CredentialKey {
        self.0.sign_ins.secret.credential(Strategy::Password, decoding, token.as_bytes())
    }

    /// The cache key of decoded credentials, which is that of their token in the header of a plain layer.
    pub(crate) fn key_of_credentials(&self, credentials: &Credentials) -> CredentialKey {
        self.0.sign_ins.secret.credential(Strategy::Password, Decoding::PLAIN, &credentials.token())
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.0.outcomes.count(outcome);
    }

    /// Counts the outcome of a request that a layer has rejected without an exchange.
    pub(crate) fn count_rejection(&self, rejection: &Rejection) {
        self.count(Outcome::of(rejection.kind()));
        if let Some(reason) = rejection.malformed_reason() {
            self.0.malformed.count(reason);
        }
    }

    /// Returns a snapshot of the engine's counts, and of what it holds now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (inner, sign_ins) = (&self.0, &self.0.sign_ins);
        let life = sign_ins.provider.sign_in_life(inner.settings.session_ttl);
        let per_second = |(count, window): (u32, Duration)| f64::from(count) / window.as_secs_f64();
        let sign_in_rate = inner.settings.sign_in_rate.map(per_second);
        let max_users_per_address = sign_in_rate.map(|rate| (rate * life.as_secs_f64()) as u64);
        let of_keys = |count: fn(&KeyVerifier) -> u64| inner.api_keys.as_deref().map_or(0, count);
        #[cfg(feature = "federation")]
        let assertions = inner.federation.as_deref().map(federation::Federation::counts).unwrap_or_default();
        let max_active_users = inner
            .backend_rate
            .map(per_second)
            .map(|rate| (rate * 0.75 * sign_ins.provider.token_life().as_secs_f64()) as u64);
        Stats {
            requests: inner.outcomes.all(),
            malformed: inner.malformed.all(),
            #[cfg(feature = "webhook")]
            webhooks: inner.webhooks.all(),
            upstream: inner.calls.all(),
            api: sign_ins.provider.api(),
            sessions: sign_ins.sessions.len(),
            verified_tokens: inner.bearer.verified.len(),
            verified_api_keys: of_keys(|keys| keys.verified.len()),
            proven_api_keys: of_keys(|keys| keys.proven.len()),
            api_key_denials: of_keys(|keys| keys.denials.len()),
            api_key_flights: of_keys(|keys| keys.flights.len() as u64),
            api_key_queue: of_keys(|keys| keys.unproven.waiting() as u64),
            api_key_circuit: inner
                .api_keys
                .as_ref()
                .map_or(CircuitState::Closed, |keys| keys.circuit.state()),
            #[cfg(feature = "federation")]
            assertion_flights: assertions.flights,
            #[cfg(feature = "federation")]
            assertion_queue: assertions.queue,
            #[cfg(feature = "federation")]
            assertion_denials: assertions.denials,
            #[cfg(feature = "federation")]
            used_assertions: assertions.used,
            #[cfg(feature = "federation")]
            assertion_circuit: assertions.circuit,
            denials: sign_ins.denials.len(),
            trusted_credentials: sign_ins.trusted.len(),
            failing_subjects: sign_ins.failures.len(),
            sign_in_flights: inner.sign_in_flights.len(),
            mint_flights: inner.mint_flights.len(),
            sign_in_queue: sign_ins.sign_in_limiter.waiting() + sign_ins.provider.waiting(),
            ending: sign_ins.end_queue.outstanding(),
            not_ended: sign_ins.end_queue.dropped(),
            unwritten_revocations: sign_ins.state.unwritten(),
            unopenable_records: sign_ins.state.unopenable(),
            lost_records: sign_ins.records.lost(),
            #[cfg(feature = "redis")]
            replica: sign_ins.cluster.as_ref().map(|cluster| cluster.stats()),
            sign_in_circuit: sign_ins.circuit.state(),
            mint_circuit: sign_ins.minter.circuit(),
            max_users_per_address,
            max_active_users,
        }
    }
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("sessions", &self.0.sign_ins.sessions.len()).finish_non_exhaustive()
    }
}

/// Builds an engine with all defaults from a publishable key.
impl TryFrom<&str> for Clerk {
    type Error = ConfigError;

    fn try_from(instance: &str) -> Result<Self, Self::Error> {
        Self::builder(instance).build()
    }
}
