//! From checked settings to an engine: which parts there are, and which of them share what.

mod provider;
mod shared;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(feature = "federation")]
use self::provider::password_checks;
use self::shared::{Parts, Shared};
use super::api_keys::{KeyVerifier, unproven_keys};
use super::bearer::Bearer;
#[cfg(feature = "federation")]
use super::federation::{Federation, FederationSetup};
use super::login_records::LoginRecords;
use super::mint::{MintLimits, Minter};
use super::pending_proofs::PendingProofs;
use super::rejection_log::RejectionLog;
use super::session_reaper::SessionReaper;
use super::sign_in::SignIns;
use super::trusted_credentials::TrustedCredentials;
use super::{Clerk, Inner};
use crate::api_keys::{KeyRevocations, ProvenKeys, VerifiedKeys};
use crate::clerk_api::Caller;
use crate::clerk_api::bapi::SecretKey;
use crate::clerk_api::fapi::Fapi;
use crate::clock::Clock;
use crate::counters::{MalformedCounts, Outcomes};
use crate::flight::SingleFlight;
use crate::instance::Instance;
use crate::jitter::Jitter;
use crate::jwt::{CLERK_ALGORITHMS, FetchFuture, Jwks};
use crate::key::KeySecret;
use crate::limits::{Budget, Denials, SignInLimiter, WarnThrottle};
use crate::provider::{BackendOptions, Provider, Verifier};
use crate::sessions::{EndQueue, Sessions, Users};
use crate::settings::Settings;
use crate::store::EngineState;
use crate::transport::Transport;

/// The bound of each kind of flight (rule K7). The queue for the sign-in budget is far shorter; this bounds an engine
/// without a budget.
const MAX_FLIGHTS: usize = 10_000;

/// A mint times out this long before the requests waiting on it, so that no request joins a flight that is about to
/// fail.
const MINT_MARGIN: Duration = Duration::from_millis(20);

/// Checked settings.
pub(crate) struct Setup {
    pub(crate) instance: Instance,
    pub(crate) issuer: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) secret: KeySecret,
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) state: EngineState,
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<crate::store::RedisStore>,
    pub(crate) backend: Option<BackendSetup>,
    #[cfg(feature = "federation")]
    pub(crate) providers: Vec<crate::federation::TrustedProvider>,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
}

/// Checked settings of the Backend API.
pub(crate) struct BackendSetup {
    pub(crate) base: Instance,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) key: SecretKey,
    pub(crate) rate: (u32, Duration),
    pub(crate) list_rate: Option<(u32, Duration)>,
    pub(crate) options: BackendOptions,
}

impl Clerk {
    pub(crate) fn from_setup(setup: Setup) -> Self {
        let Setup { instance, issuer, transport, secret, settings, budget, state, backend, clock, .. } =
            setup;
        let backend_rate = backend.as_ref().map(|backend| backend.rate);
        let token_lifetime = backend.as_ref().and_then(|backend| backend.options.token_lifetime);
        let shared = Shared::new(Parts {
            settings,
            budget,
            clock,
            state,
            jitter: setup.jitter,
            secret,
            #[cfg(feature = "redis")]
            cluster: setup.redis.map(|redis| (redis, instance.issuer().to_owned())),
        });
        let longest_flight = shared.revocations.longest_flight();
        let fapi = Arc::new(Fapi::new(shared.caller(instance, transport)));
        let (provider, limiter) = match backend {
            None => shared.frontend(&fapi),
            Some(backend) => shared.backend(&fapi, backend),
        };
        let jwks = shared.jwks(&fapi);
        let api_keys = shared.api_keys(&provider, backend_rate, longest_flight);
        #[cfg(feature = "federation")]
        let federation = shared.federation(setup.providers, backend_rate);
        let time = Arc::clone(&shared.time);
        let most = shared.settings.max_verified_tokens;
        let bearer = Bearer::new(Arc::clone(&jwks), &issuer, time, token_lifetime, most);
        let verifier = Verifier::new(Arc::clone(&jwks), issuer.into(), clock, Arc::clone(&shared.time));
        let (calls, settings) = (Arc::clone(&shared.calls), shared.settings.clone());
        let clerk = Self(Arc::new(Inner {
            sign_ins: Arc::new(shared.sign_ins(Arc::new(provider), limiter, verifier)),
            sign_in_flights: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            openings: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            mint_flights: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            fapi,
            calls,
            jwks,
            bearer,
            api_keys,
            #[cfg(feature = "federation")]
            federation,
            outcomes: Outcomes::default(),
            malformed: MalformedCounts::default(),
            #[cfg(feature = "webhook")]
            webhooks: crate::counters::WebhookCounts::default(),
            rejection_log: RejectionLog::default(),
            backend_rate,
            settings,
            clock,
        }));
        #[cfg(feature = "redis")]
        clerk.join_cluster();
        clerk
    }
}

impl Shared {
    fn caller(&self, base: Instance, transport: Arc<dyn Transport>) -> Caller {
        Caller::new(base, transport, self.clock, Arc::clone(&self.time), Arc::clone(&self.calls))
    }

    fn api_keys(
        &self,
        provider: &Provider,
        rate: Option<(u32, Duration)>,
        longest_flight: Duration,
    ) -> Option<Arc<KeyVerifier>> {
        let (settings, clock) = (&self.settings, self.clock);
        let unproven = Budget { sign_ins: Some(unproven_keys(rate?)), ..self.budget };
        let most = settings.max_verified_api_keys;
        Some(Arc::new(KeyVerifier {
            bapi: Arc::clone(provider.bapi()?),
            verified: VerifiedKeys::new(most),
            proven: ProvenKeys::new(most),
            denials: Denials::new(settings.negative_ttl, Arc::clone(&self.forgiven)),
            forgiven: Arc::clone(&self.forgiven),
            revocations: KeyRevocations::new(longest_flight),
            flights: Arc::new(SingleFlight::new(MAX_FLIGHTS)),
            unproven: SignInLimiter::new(unproven, clock),
            circuit: Arc::default(),
            misconfigured: Mutex::new(None),
            warnings: WarnThrottle::default(),
            secret: Arc::clone(&self.secret),
            settings: settings.clone(),
            clock,
            time: Arc::clone(&self.time),
            jitter: Arc::clone(&self.jitter),
            closed: AtomicBool::new(false),
        }))
    }

    #[cfg(feature = "federation")]
    fn federation(
        &self,
        providers: Vec<crate::federation::TrustedProvider>,
        rate: Option<(u32, Duration)>,
    ) -> Option<Arc<Federation>> {
        let of = |look_ups| Budget { sign_ins: Some(look_ups), ..self.budget };
        Federation::new(
            providers,
            &FederationSetup {
                settings: &self.settings,
                clock: self.clock,
                forgiven: &self.forgiven,
                unproven: of(unproven_keys(rate?)),
                known: of(password_checks(rate?)),
                max_flights: MAX_FLIGHTS,
            },
        )
    }

    fn jwks(&self, fapi: &Arc<Fapi>) -> Arc<Jwks> {
        let fetcher = Arc::clone(fapi);
        let fetch = move || {
            let fapi = Arc::clone(&fetcher);
            Box::pin(async move { fapi.jwks().await }) as FetchFuture
        };
        Arc::new(Jwks::new(Box::new(fetch), CLERK_ALGORITHMS, self.clock, self.settings.upstream_timeout))
    }

    fn minter(&self, provider: &Arc<Provider>, verifier: Verifier) -> Minter {
        Minter {
            provider: Arc::clone(provider),
            verifier,
            clock: self.clock,
            timeout: self.settings.upstream_timeout - MINT_MARGIN,
            jitter: Arc::clone(&self.jitter),
            revocations: Arc::clone(&self.revocations),
            limits: MintLimits::default(),
        }
    }

    fn sign_ins(
        self,
        provider: Arc<Provider>,
        sign_in_limiter: Arc<SignInLimiter>,
        verifier: Verifier,
    ) -> SignIns {
        let minter = Arc::new(self.minter(&provider, verifier));
        #[cfg(feature = "redis")]
        let cluster = self.cluster;
        let Self { settings, clock, time, jitter, secret, revocations, forgiven, failures, state, .. } = self;
        let end_queue = EndQueue::new(provider.keeps_sessions());
        let (queue, timeout) = (Arc::clone(&end_queue), settings.upstream_timeout);
        let records = LoginRecords::new(
            state.logins.clone(),
            settings.max_sessions,
            Arc::clone(&revocations),
            clock,
            Arc::clone(&time),
            provider.frontend().is_some(),
        );
        let queued = Arc::clone(&records);
        SignIns {
            reaper: SessionReaper::new(Arc::clone(&provider), queued, queue, clock, timeout),
            state,
            #[cfg(feature = "redis")]
            cluster,
            records,
            provider,
            secret,
            minter,
            sign_in_limiter,
            circuit: Arc::default(),
            denials: Denials::new(settings.negative_ttl, Arc::clone(&forgiven)),
            failures,
            forgiven,
            trusted: TrustedCredentials::new(settings.max_sessions, clock.now()),
            pending_proofs: PendingProofs::new(settings.session_ttl),
            sessions: Sessions::new(settings.max_sessions, clock, Arc::clone(&end_queue)),
            users: Users::default(),
            revocations,
            end_queue,
            settings,
            clock,
            time,
            jitter,
            misconfigured: Mutex::new(None),
            warnings: WarnThrottle::default(),
            closed: AtomicBool::new(false),
        }
    }
}
