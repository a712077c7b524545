//! The public snapshot of an engine's counts (rule O2).

#[cfg(feature = "webhook")]
use crate::counters::WebhookDeliveries;
use crate::counters::{Outcome, UpstreamCalls};
use crate::credentials::MalformedReason;
use crate::limits::CircuitState;
use crate::session::ClerkApi;

/// A snapshot of the counts and the state of an engine, from [`Clerk::stats`](crate::Clerk::stats).
///
/// Use it for a health page or for a metrics system of your own. With the feature `metrics`,
/// `Clerk::publish_metrics` hands the same numbers to the `metrics` facade. Counts start at zero with the engine and
/// never decrease; all other numbers are those of the moment of the snapshot.
///
/// ```
/// use tower_clerk::Clerk;
/// use tower_clerk::stats::{CircuitState, Outcome};
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// let stats = clerk.stats();
/// assert_eq!((stats.count(Outcome::Hit), stats.total()), (0, 0));
/// assert_eq!(stats.sign_in_circuit, CircuitState::Closed);
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of requests by outcome. Each request has exactly one outcome.
    pub requests: Box<[(Outcome, u64)]>,
    /// The number of requests with malformed credentials, by reason. Together they are those of
    /// [`Outcome::Malformed`].
    pub malformed: Box<[(MalformedReason, u64)]>,
    /// The number of webhooks by the type of their event and their outcome. Each one has exactly one outcome.
    #[cfg(feature = "webhook")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
    pub webhooks: Box<[WebhookDeliveries]>,
    /// The number and the duration of calls to Clerk, by kind and result.
    pub upstream: Box<[UpstreamCalls]>,
    /// Credentials that are served from the cache at present: at most
    /// [`max_sessions`](crate::ClerkBuilder::max_sessions).
    pub sessions: u64,
    /// Bearer tokens that are verified and have not expired: at most
    /// [`max_verified_tokens`](crate::ClerkBuilder::max_verified_tokens).
    pub verified_tokens: u64,
    /// API keys that are held after their verification, expired ones among them: at most
    /// [`max_verified_api_keys`](crate::ClerkBuilder::max_verified_api_keys).
    pub verified_api_keys: u64,
    /// API keys that Clerk has accepted within 7 days, whose verifications go first.
    pub proven_api_keys: u64,
    /// Refused API keys that are remembered.
    pub api_key_denials: u64,
    /// Verifications of API keys in flight, including those that wait for a permit.
    pub api_key_flights: u64,
    /// Verifications of unknown API keys that wait for a permit.
    pub api_key_queue: u64,
    /// The circuit for API keys. While it is open, those that have to be verified are rejected without a call to Clerk.
    pub api_key_circuit: CircuitState,
    /// Exchanges of assertions in flight, including those that wait for a permit.
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub assertion_flights: u64,
    /// Assertions that wait for a permit to look their subjects up.
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub assertion_queue: u64,
    /// Refused subjects and assertions that are remembered.
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub assertion_denials: u64,
    /// Assertions of people that were used and are remembered for it: at most 100,000, with which further ones are refused.
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub used_assertions: u64,
    /// The circuit for assertions. While it is open, those whose user has to be looked up or signed in are rejected without a
    /// call to Clerk.
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub assertion_circuit: CircuitState,
    /// Refused credentials that are remembered, so that Clerk is not asked about them again.
    pub denials: u64,
    /// Credentials with a trust record: Clerk has accepted them before. A record is valid for 7 days.
    pub trusted_credentials: u64,
    /// Identifiers and users with failed attempts.
    pub failing_subjects: u64,
    /// Sign-ins in flight, including those that wait for a permit.
    pub sign_in_flights: usize,
    /// Mints of tokens in flight.
    pub mint_flights: usize,
    /// Sign-ins that wait for a permit of the sign-in budget. A number that stays high means that the budget is too
    /// small for the number of users.
    pub sign_in_queue: usize,
    /// Sessions that wait to be ended at Clerk.
    pub ending: usize,
    /// Sessions that were not ended, because the queue for it was full. They expire at Clerk,
    /// [after 7 days by default](https://clerk.com/docs/guides/secure/session-options).
    pub not_ended: u64,
    /// Revocations that hold in this process and are not in the store, because its file refuses writes. A restart would
    /// undo them, so alert above 0.
    pub unwritten_revocations: usize,
    /// How often a record of the store could not be opened and was ignored, since it was damaged or changed, or written by
    /// a later version. Each costs a sign-in at most.
    pub unopenable_records: u64,
    /// Login records that were not written to the store, because 1,024 others waited for the password function. Each costs a
    /// sign-in after a restart at most.
    pub lost_records: u64,
    /// The numbers of the part that this replica shares with others. `None` without a `RedisStore`.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub replica: Option<crate::cluster::ReplicaStats>,
    /// The circuit for sign-ins. While it is open, sign-ins are rejected without a call to Clerk.
    pub sign_in_circuit: CircuitState,
    /// The circuit for mints. While it is open, requests that need a new token are rejected without a call to Clerk.
    pub mint_circuit: CircuitState,
    /// The API of Clerk that verifies passwords.
    pub api: ClerkApi,
    /// The number of users that one IP address can serve: the sign-in budget times
    /// [`session_ttl`](crate::ClerkBuilder::session_ttl), or with the Backend API, times the default lifetime of a
    /// Clerk session ([7 days](https://clerk.com/docs/guides/secure/session-options)). `None` without a budget.
    pub max_users_per_address: Option<u64>,
    /// The number of users that can be active at a time if the Backend API mints all tokens: its budget times three
    /// quarters of the token lifetime ([60 s](https://clerk.com/docs/guides/sessions/session-tokens), unless
    /// [`token_lifetime`](crate::ClerkBuilder::token_lifetime) is set). `None` without the Backend API.
    pub max_active_users: Option<u64>,
}

impl Stats {
    /// The number of requests with this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.requests.iter().find(|(counted, _)| *counted == outcome).map_or(0, |(_, count)| *count)
    }

    /// The number of all requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.iter().map(|(_, count)| count).sum()
    }
}
