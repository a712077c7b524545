//! A stand-in for Clerk with its users, and engines that use it.

use std::path::Path;
use std::time::Duration;

use tower_clerk::store::SqliteStore;
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, FakeClerkBuilder, FakeUser, Fault};
use tower_clerk::{Clerk, ClerkBuilder};

use super::promises::Promises;
use super::users::{self, Load};
use super::wire::Wire;
use super::{PASSWORD, SECOND, SECRET_KEY, WINDOW};

/// The engine's default budget in 10 s: four fifths of Clerk's limit for a production instance.
const CALLS: usize = 800;
/// A tenth of the budget, which is what the engine uses in one second.
const CALLS_IN_A_SECOND: usize = 80;
/// Number of arrival times that the stand-in's log stores. With more calls, a busy window may be missed.
const LOGGED: usize = 1_000_000;

/// A stand-in for Clerk with its users, and the transport to it.
pub(super) struct World {
    pub(super) fake: FakeClerk,
    wire: Wire,
    clock: Clock,
}

impl World {
    pub(super) fn new(load: Load, settings: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> Self {
        let clock = Clock::system();
        let builder =
            FakeClerk::builder().empty().clock(clock).token_life(load.token_life).secret_key(SECRET_KEY);
        let fake = settings(builder).build();
        for at in 0..load.users {
            fake.add_user(FakeUser::new(users::identifier(at)).password(PASSWORD));
        }
        Self { wire: Wire::to(fake.clone()), fake, clock }
    }

    /// Gives Clerk realistic latencies, so that a request that waits for Clerk takes time.
    pub(super) fn add_latency(&self) {
        let delay = |endpoint, ms| {
            self.fake.script_always(endpoint, Fault::DelayAnswer(Duration::from_millis(ms)));
        };
        delay(Endpoint::SignIns, 250);
        for endpoint in [Endpoint::Tokens, Endpoint::Backend] {
            delay(endpoint, 60);
        }
        // The time of the password hash, in addition to the latency of the call.
        self.fake.reconfigure(|settings| settings.verify_password_time(Duration::from_millis(90)));
    }

    /// Builds an engine with a store in a file.
    pub(super) fn engine(
        &self,
        file: &Path,
        settings: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> Result<Clerk, String> {
        // The hours of the driven clock pass in seconds, which a real password function would take up.
        let store = SqliteStore::open(file).map_err(|error| error.to_string())?.weak_password_cost();
        let builder = Clerk::builder(self.fake.publishable_key())
            .secret_key(SECRET_KEY)
            .backend_url(self.fake.backend_url())
            .store(store)
            .transport(self.wire.clone())
            .clock(self.clock)
            .jitter_seed(1);
        settings(builder).build().map_err(|error| error.to_string())
    }

    /// Prints the calls that reached Clerk, and requires that they stayed within its budgets.
    pub(super) fn require_budgets(&self, part: &str, promises: &mut Promises) {
        let fake = &self.fake;
        let sign_ins = fake.max_in_window(Endpoint::SignIns, WINDOW);
        let [second, window] = [SECOND, WINDOW].map(|length| fake.max_in_window(Endpoint::Backend, length));
        let (calls, quota) = (fake.count(Endpoint::Backend), self.wire.too_many());
        println!(
            "{part}: {calls} calls to the Backend API, {second} in the busiest second and {window} in the busiest 10 s, \
             {} mints by the Frontend API and {} by the key, {sign_ins} sign-ins in the busiest 10 s, {quota} times 429, \
             {} sessions live at Clerk; answers other than 200: {:?}",
            fake.count(Endpoint::Tokens),
            fake.count(Endpoint::BackendTokens),
            fake.live_sessions(),
            self.wire.others(),
        );
        promises.require(calls <= LOGGED, "the log holds all calls");
        promises.require(sign_ins <= 5, "never more sign-ins in a window than the budget");
        promises.require(
            second <= CALLS_IN_A_SECOND,
            "never more calls to the Backend API in a second than its part",
        );
        promises.require(window <= CALLS, "never more calls to the Backend API in a window than the budget");
        promises.require(quota == 0, "Clerk never says 429");
    }
}
