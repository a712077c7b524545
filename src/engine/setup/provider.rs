//! The provider of an engine, and the limits of its calls.

use std::sync::Arc;
use std::time::Duration;

use super::{BackendSetup, Shared};
use crate::clerk_api::bapi::Bapi;
use crate::clerk_api::fapi::Fapi;
use crate::engine::departures;
use crate::limits::{Budget, CallLimiter, SignInLimiter};
use crate::provider::{Backend, Devices, Frontend, OpenSessions, Passwords, Provider, TimingEqualizer};

/// A provider, and the limiter of its password checks.
type LimitedProvider = (Provider, Arc<SignInLimiter>);

impl Shared {
    pub(super) fn frontend(&self, fapi: &Arc<Fapi>) -> LimitedProvider {
        let limiter = SignInLimiter::new(self.budget, self.clock);
        departures::share(&self.state, self.budget, self.clock, &self.time, &limiter);
        #[cfg(feature = "redis")]
        if let Some(cluster) = &self.cluster {
            cluster.share(&limiter, None, &self.failures);
        }
        let devices = Arc::new(Devices::new(Arc::clone(&self.state.devices), Arc::clone(&self.time)));
        let frontend = Frontend::new(Arc::clone(fapi), devices, Arc::clone(&limiter), self.clock);
        (Provider::Frontend(frontend), limiter)
    }

    pub(super) fn backend(&self, fapi: &Arc<Fapi>, setup: BackendSetup) -> LimitedProvider {
        let BackendSetup { base, transport, key, rate, list_rate, options } = setup;
        let clock = self.clock;
        let limiter = CallLimiter::new(rate, list_rate, clock);
        let bapi = Arc::new(Bapi::new(self.caller(base, transport), key, limiter));
        let timing =
            TimingEqualizer::new(self.settings.upstream_timeout / 2, clock, Arc::clone(&self.jitter));
        let secret = Arc::clone(&self.secret);
        let passwords = Passwords::new(bapi, timing, secret, clock, options.ignore_second_factor);
        let sessions = Arc::clone(&self.state.sessions);
        let open = OpenSessions::new(sessions, self.settings.max_sessions, Arc::clone(&self.time));
        let tickets = SignInLimiter::new(self.budget, clock);
        departures::share(&self.state, self.budget, clock, &self.time, &tickets);
        let checks = Budget { sign_ins: Some(password_checks(rate)), ..self.budget };
        let checks = SignInLimiter::new(checks, clock);
        #[cfg(feature = "redis")]
        if let Some(cluster) = &self.cluster {
            cluster.share(&tickets, Some(&checks), &self.failures);
        }
        let revocations = Arc::clone(&self.revocations);
        let lifetime = options.token_lifetime;
        let backend = Backend::new(passwords, open, Arc::clone(fapi), tickets, revocations, lifetime);
        (Provider::Backend(Box::new(backend)), checks)
    }
}

/// The part of the Backend API's budget that password checks may take: a quarter, at two calls each, so that half of it
/// is always left to tokens.
pub(super) fn password_checks((calls, window): (u32, Duration)) -> (u32, Duration) {
    // Password checks are spread like the calls: a burst admitted at once would only wait for permits of calls.
    if calls >= 40 { (calls / 40, window / 10) } else { ((calls / 4).max(1), window) }
}
