//! The parts of an engine that the others share.

use std::sync::Arc;

use crate::clock::{ClerkTime, Clock};
#[cfg(feature = "redis")]
use crate::cluster::Cluster;
use crate::counters::Calls;
#[cfg(feature = "redis")]
use crate::engine::Clerk;
use crate::jitter::Jitter;
use crate::key::KeySecret;
use crate::limits::{Budget, FailureCounts, Forgiven};
use crate::sessions::Revocations;
use crate::settings::Settings;
use crate::store::EngineState;
#[cfg(feature = "redis")]
use crate::store::RedisStore;

/// The settings that the shared parts are made of.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) budget: Budget,
    pub(super) clock: Clock,
    pub(super) state: EngineState,
    pub(super) jitter: Jitter,
    pub(super) secret: KeySecret,
    /// With the instance.
    #[cfg(feature = "redis")]
    pub(super) cluster: Option<(RedisStore, String)>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) budget: Budget,
    pub(super) clock: Clock,
    pub(super) time: Arc<ClerkTime>,
    pub(super) calls: Arc<Calls>,
    pub(super) jitter: Arc<Jitter>,
    pub(super) secret: Arc<KeySecret>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) forgiven: Arc<Forgiven>,
    pub(super) failures: Arc<FailureCounts>,
    pub(super) state: EngineState,
    #[cfg(feature = "redis")]
    pub(super) cluster: Option<Arc<Cluster>>,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { settings, budget, clock, state, jitter, secret, .. } = parts;
        // A sign-in, its wait for a ticket's permit and the opening of its session; or a mint and its wait for a place.
        let longest_flight = 3 * settings.upstream_timeout + settings.sign_in_wait;
        // A request may wait for a permit twice (rule S5).
        let longest_sign_in = 2 * (settings.sign_in_wait + 2 * settings.upstream_timeout);
        // A record is never from the future, so the clock is behind if it seems to be.
        let time = state.newest().map_or(clock, |newest| clock.no_earlier_than(newest));
        let forgiven = Arc::new(Forgiven::new(longest_sign_in));
        let (time, jitter) = (Arc::new(ClerkTime::new(time)), Arc::new(jitter));
        let failures = Arc::new(FailureCounts::new(Arc::clone(&forgiven)));
        #[cfg(feature = "redis")]
        let (secret, cluster) = match parts.cluster {
            None => (secret, None),
            Some((store, issuer)) => {
                let secret = secret.with_subjects_of(&store.subjects(&issuer));
                let (time, jitter, failures) =
                    (Arc::clone(&time), Arc::clone(&jitter), Arc::clone(&failures));
                let (timeout, window) =
                    (settings.upstream_timeout, budget.sign_ins.map(|(_, window)| window));
                let setup = crate::cluster::Setup { store, issuer, time, jitter, failures, timeout, window };
                (secret, Some(Arc::new(Cluster::new(setup))))
            }
        };
        let secret = Arc::new(secret);
        Self {
            settings,
            budget,
            clock,
            calls: Arc::default(),
            secret,
            revocations: Arc::new(Revocations::new(longest_flight)),
            failures,
            forgiven,
            state,
            #[cfg(feature = "redis")]
            cluster,
            time,
            jitter,
        }
    }
}

#[cfg(feature = "redis")]
impl Clerk {
    /// Lets the engine hear of the changes of other replicas.
    pub(super) fn join_cluster(&self) {
        let Some(cluster) = &self.0.sign_ins.cluster else { return };
        let weak = Arc::downgrade(&self.0);
        cluster.start(self.0.bearer.longest_exposure(), move |change, before| {
            let Some(engine) = weak.upgrade() else { return };
            match before {
                Some(at) => engine.refuse_bearers_from_before(change, at),
                None => Self(engine).carry_out(change),
            }
        });
    }
}
