//! Starting an instance, and where it is.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::accounts::demo;
use crate::clock::{FakeClock, Now};
use crate::fake::{FakeClerk, Inner, World};
use crate::request::Hosts;
use crate::settings::FakeClerkBuilder;
use crate::state::State;
use crate::sync::lock;
use crate::tokens::KeyRing;

impl FakeClerkBuilder {
    /// Starts the instance.
    #[must_use]
    pub fn build(self) -> FakeClerk {
        FakeClerk::start(self)
    }
}

/// The instance and its addresses.
impl FakeClerk {
    /// An instance with the [demo accounts](crate#demo-accounts), Clerk's default limits and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder for an instance with other settings.
    pub fn builder() -> FakeClerkBuilder {
        FakeClerkBuilder::new()
    }

    fn start(settings: FakeClerkBuilder) -> Self {
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
            demo::users().into_iter().for_each(|user| drop(clerk.add_user(user)));
            demo::organizations().into_iter().for_each(|about| drop(clerk.add_organization(about)));
            for (user, organization, role) in demo::MEMBERS {
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
    /// A request for one API at the other one's host is answered 404, so a test notices it. At any other host both APIs
    /// are served, as they are at the one address of `FakeClerk::serve` (feature `server`).
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

    /// The `iss` of tokens that were asked for at [`fapi_url`](Self::fapi_url).
    ///
    /// Clerk tells instances apart by host, so a token names the address that the request for it went to: one got
    /// over a socket names the server's.
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
    pub fn clock(&self) -> FakeClock {
        self.inner.clock
    }

    pub(crate) fn hosts(&self) -> Hosts {
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

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, &FakeClerkBuilder, Now) -> T) -> T {
        let world = &mut *lock(&self.inner.world);
        let now = Now::read(&self.inner.clock, world.settings.clock_skew);
        change(&mut world.state, &world.settings, now)
    }
}
