//! The handle on a stand-in.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::clock::Clock;
use super::endpoint::Endpoint;
use super::faults::{Fault, Script};
use super::hold::{Gates, Hold, Moment};
use super::log::{Log, ReceivedRequest};
use super::request::Hosts;
use super::state::{Now, State};
use super::tokens::KeyRing;
use super::{FakeClerkBuilder, lock, seed};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// A Clerk instance in memory.
///
/// See the [module's documentation](super) for what it is and isn't. A handle is cheap to clone; all clones are of
/// the same instance.
#[derive(Clone)]
pub struct FakeClerk {
    pub(super) inner: Arc<Inner>,
    /// Where this handle's own requests come from.
    pub(super) address: Option<IpAddr>,
}

pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) world: Mutex<World>,
    pub(super) script: Mutex<Script>,
    pub(super) log: Mutex<Log>,
    pub(super) gates: Arc<Gates>,
}

pub(super) struct World {
    pub(super) settings: FakeClerkBuilder,
    pub(super) state: State,
}

impl FakeClerk {
    /// An instance with the [demo accounts](super#demo-accounts), Clerk's default limits and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets an instance up otherwise.
    pub fn builder() -> FakeClerkBuilder {
        FakeClerkBuilder::new()
    }

    pub(super) fn start(settings: FakeClerkBuilder) -> Self {
        let state = State::new(KeyRing::of_instance(&settings.host));
        let demo = settings.demo;
        let inner = Inner {
            clock: settings.clock,
            world: Mutex::new(World { settings, state }),
            script: Mutex::default(),
            log: Mutex::default(),
            gates: Arc::default(),
        };
        let clerk = Self { inner: Arc::new(inner), address: None };
        if demo {
            seed::users().into_iter().for_each(|user| drop(clerk.add_user(user)));
            seed::organizations().into_iter().for_each(|about| drop(clerk.add_organization(about)));
            for (user, organization, role) in seed::MEMBERS {
                clerk.add_member(user, organization, role);
            }
        }
        clerk
    }

    /// The same instance, asked from another address: Clerk counts sign-ins by address.
    #[must_use]
    pub fn at_address(&self, address: IpAddr) -> Self {
        Self { inner: Arc::clone(&self.inner), address: Some(address) }
    }

    /// The instance's Frontend API, for use in process: `https://clerk.fake-clerk.example`.
    #[must_use]
    pub fn fapi_url(&self) -> String {
        format!("https://{}", lock(&self.inner.world).settings.host)
    }

    /// The instance's Backend API, for use in process: `https://api.fake-clerk.example`.
    ///
    /// Each API is at its own host, so that a request to the wrong one is noticed: 404. A [server](Self::serve) has
    /// both at one address.
    #[must_use]
    pub fn backend_url(&self) -> String {
        format!("https://{}", lock(&self.inner.world).settings.backend_host())
    }

    /// The key that the Backend API asks for, `sk_test_…`: the instance's own unless
    /// [another](FakeClerkBuilder::secret_key) was set. No two hosts have the same.
    #[must_use]
    pub fn secret_key(&self) -> String {
        lock(&self.inner.world).settings.backend_key()
    }

    /// What tokens say as `iss` when they were asked for at [`fapi_url`](Self::fapi_url).
    ///
    /// Clerk tells instances apart by host, so a token names the address that the request for it went to: one got
    /// from a [server](Self::serve) names the server's.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.fapi_url()
    }

    /// The publishable key that stands for [`fapi_url`](Self::fapi_url): `pk_test_…`, or `pk_live_…` where the secret
    /// key is one of a production instance.
    #[must_use]
    pub fn publishable_key(&self) -> String {
        let settings = &lock(&self.inner.world).settings;
        let kind = if settings.is_production() { "live" } else { "test" };
        format!("pk_{kind}_{}", BASE64_STANDARD_NO_PAD.encode(format!("{}$", settings.host)))
    }

    /// The clock that the instance tells the time by, without its [skew](FakeClerkBuilder::clock_skew).
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    pub(super) fn hosts(&self) -> Hosts {
        let settings = &lock(&self.inner.world).settings;
        Hosts { frontend: settings.host.clone(), backend: settings.backend_host() }
    }

    /// Changes the instance's settings while it runs. Its clock and its accounts stay.
    ///
    /// ```
    /// use fake_clerk::FakeClerk;
    ///
    /// let clerk = FakeClerk::new();
    /// clerk.reconfigure(|settings| settings.native_api(false));
    /// ```
    pub fn reconfigure(&self, change: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) {
        let world = &mut *lock(&self.inner.world);
        world.settings = change(world.settings.clone());
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, &FakeClerkBuilder, Now) -> T) -> T {
        let world = &mut *lock(&self.inner.world);
        let now = Now::read(&self.inner.clock, world.settings.clock_skew);
        change(&mut world.state, &world.settings, now)
    }
}

/// Faults and races.
impl FakeClerk {
    /// Lets the next request to an endpoint go wrong. Faults queue up.
    pub fn script(&self, endpoint: Endpoint, fault: Fault) {
        self.script_times(endpoint, 1, fault);
    }

    /// Lets the next few requests to an endpoint go wrong in the same way.
    pub fn script_times(&self, endpoint: Endpoint, times: usize, fault: Fault) {
        lock(&self.inner.script).push(endpoint, times, fault);
    }

    /// Lets every request to an endpoint go wrong, once no queued fault is left.
    pub fn script_always(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.inner.script).always(endpoint, fault);
    }

    /// Takes back what is scripted for an endpoint; for [`Endpoint::Any`], everything.
    pub fn clear_script(&self, endpoint: Endpoint) {
        lock(&self.inner.script).clear(endpoint);
    }

    /// Holds requests to an endpoint: they arrive, are logged, and wait before they are carried out.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Arrival)
    }

    /// Holds answers of an endpoint: requests are carried out, and their answers wait.
    pub fn hold_answer(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Answer)
    }
}

/// What the instance was asked.
impl FakeClerk {
    /// The requests so far, in the order they arrived; the last 20,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.inner.log).requests()
    }

    /// The requests to an endpoint so far.
    #[must_use]
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<ReceivedRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.endpoint().groups().any(|group| group == endpoint));
        requests
    }

    /// How many requests to an endpoint there were.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        lock(&self.inner.log).count(endpoint)
    }

    /// The most requests to an endpoint that arrived in any window of this length, so that a test can hold a budget
    /// against it.
    #[must_use]
    pub fn max_in_window(&self, endpoint: Endpoint, window: Duration) -> usize {
        lock(&self.inner.log).max_in_window(endpoint, window)
    }

    /// Forgets the requests so far, and their number.
    pub fn clear_log(&self) {
        lock(&self.inner.log).clear();
    }
}

impl Default for FakeClerk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeClerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClerk").field("fapi_url", &self.fapi_url()).finish_non_exhaustive()
    }
}
