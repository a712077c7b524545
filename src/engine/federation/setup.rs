//! From checked providers to their part of an engine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Federation, KnownProvider};
use crate::api_keys::ProvenKeys;
use crate::clock::Clock;
use crate::federation::{TrustedProvider, UsedAssertions, fetcher};
use crate::flight::SingleFlight;
use crate::jwt::Jwks;
use crate::limits::{Budget, Denials, Forgiven, SignInLimiter, WarnThrottle};
use crate::settings::Settings;

/// The parts of an engine that federation shares with the others.
pub(in crate::engine) struct FederationSetup<'a> {
    pub(in crate::engine) settings: &'a Settings,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) forgiven: &'a Arc<Forgiven>,
    /// For look-ups of subjects that were not found before.
    pub(in crate::engine) unproven: Budget,
    /// For those of the others.
    pub(in crate::engine) known: Budget,
    pub(in crate::engine) max_flights: usize,
}

impl Federation {
    pub(in crate::engine) fn new(
        providers: Vec<TrustedProvider>,
        setup: &FederationSetup<'_>,
    ) -> Option<Arc<Self>> {
        let &FederationSetup { settings, clock, forgiven, unproven, known, max_flights } = setup;
        if providers.is_empty() {
            return None;
        }
        let with_keys = |trusted: TrustedProvider| with_keys(trusted, clock, settings.upstream_timeout);
        Some(Arc::new(Self {
            providers: providers.into_iter().map(with_keys).collect(),
            used: UsedAssertions::default(),
            proven: ProvenKeys::new(settings.max_sessions),
            denials: Denials::new(settings.negative_ttl, Arc::clone(forgiven)),
            flights: Arc::new(SingleFlight::new(max_flights)),
            unproven: SignInLimiter::new(unproven, clock),
            known: SignInLimiter::new(known, clock),
            circuit: Arc::default(),
            misconfigured: Mutex::new(None),
            warnings: WarnThrottle::default(),
        }))
    }
}

fn with_keys(trusted: TrustedProvider, clock: Clock, timeout: Duration) -> KnownProvider {
    let jwks = Jwks::new(fetcher(&trusted), &trusted.algorithms, clock, timeout);
    KnownProvider { trusted: Arc::new(trusted), jwks: Arc::new(jwks) }
}
