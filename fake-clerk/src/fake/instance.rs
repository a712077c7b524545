//! Creates an instance, and tells its addresses.

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
use crate::webhooks::Webhooks;

impl FakeClerkBuilder {
    /// Builds the instance.
    #[must_use]
    pub fn build(self) -> FakeClerk {
        FakeClerk::start(self)
    }
}

/// The instance and its addresses.
impl FakeClerk {
    /// Creates an instance with the [demo accounts](crate#demo-accounts), Clerk's default limits and the system's
    /// clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder for an instance with other settings.
    pub fn builder() -> FakeClerkBuilder {
        FakeClerkBuilder::new()
    }

    fn start(mut settings: FakeClerkBuilder) -> Self {
        let endpoints = std::mem::take(&mut settings.webhooks);
        let state = State::new(KeyRing::of_instance(&settings.host));
        let demo = settings.demo;
        let inner = Inner {
            clock: settings.clock,
            script: Mutex::default(),
            log: Mutex::default(),
            gates: Arc::default(),
            hooks: Mutex::default(),
            webhooks: Webhooks::new(settings.clock),
            world: Mutex::new(World { settings, state }),
        };
        let clerk = Self { inner: Arc::new(inner), address: None };
        if demo {
            demo::users().into_iter().for_each(|user| drop(clerk.add_user(user)));
            demo::organizations().into_iter().for_each(|about| drop(clerk.add_organization(about)));
            for (user, organization, role) in demo::MEMBERS {
                clerk.add_member(user, organization, role);
            }
            demo::api_keys().into_iter().for_each(|key| drop(clerk.add_api_key(key)));
        }
        // Only now, so that the demo accounts are no news.
        for endpoint in endpoints {
            clerk.add_webhook(endpoint);
        }
        clerk
    }

    /// Returns a handle to the same instance whose requests come from `address`.
    ///
    /// Clerk limits sign-ins by address, so use one handle per simulated client host.
    #[must_use]
    pub fn at_address(&self, address: IpAddr) -> Self {
        Self { inner: Arc::clone(&self.inner), address: Some(address) }
    }

    /// Returns the in-process URL of the Frontend API, by default `https://clerk.fake-clerk.example`.
    #[must_use]
    pub fn fapi_url(&self) -> String {
        format!("https://{}", lock(&self.inner.world).settings.host)
    }

    /// Returns the in-process URL of the Backend API, by default `https://api.fake-clerk.example`.
    ///
    /// A request for one API at the other API's host gets 404, so that a test notices the mistake. Any other host
    /// serves both APIs, like the single address of `FakeClerk::serve` (feature `server`).
    #[must_use]
    pub fn backend_url(&self) -> String {
        format!("https://{}", lock(&self.inner.world).settings.backend_host())
    }

    /// Returns the secret key of the Backend API, `sk_test_…`.
    ///
    /// It is derived from the host, so that no two hosts share a key, unless [`FakeClerkBuilder::secret_key`] sets
    /// another.
    #[must_use]
    pub fn secret_key(&self) -> String {
        lock(&self.inner.world).settings.backend_key()
    }

    /// Returns the `iss` claim of tokens minted at [`fapi_url`](Self::fapi_url).
    ///
    /// Clerk identifies an instance by its host, so a token names the address that the request for it was sent to. A
    /// token minted over a socket names the server's address.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.fapi_url()
    }

    /// Returns the publishable key for [`fapi_url`](Self::fapi_url): `pk_live_…` if the secret key is a production
    /// key, otherwise `pk_test_…`.
    #[must_use]
    pub fn publishable_key(&self) -> String {
        let settings = &lock(&self.inner.world).settings;
        let kind = if settings.is_production() { "live" } else { "test" };
        format!("pk_{kind}_{}", BASE64_STANDARD_NO_PAD.encode(format!("{}$", settings.host)))
    }

    /// Returns the instance's clock, without its [skew](FakeClerkBuilder::clock_skew).
    #[must_use]
    pub fn clock(&self) -> FakeClock {
        self.inner.clock
    }

    pub(crate) fn hosts(&self) -> Hosts {
        let settings = &lock(&self.inner.world).settings;
        Hosts { frontend: settings.host.clone(), backend: settings.backend_host() }
    }

    /// Changes the settings of the running instance. Its clock, its accounts and its webhook endpoints stay.
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
        let changed = {
            let world = &mut *lock(&self.inner.world);
            let now = Now::read(&self.inner.clock, world.settings.clock_skew);
            let changed = change(&mut world.state, &world.settings, now);
            self.post_changes(world, now, None);
            changed
        };
        self.inner.webhooks.start();
        changed
    }
}
