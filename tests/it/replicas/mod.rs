//! Replicas that share a Redis (rules H4 to H6). A real one, so these tests run on the real clock.

mod budget;
mod guesses;
mod losses;
mod proxy;
mod revocations;
mod server;
mod webhooks;

use std::time::{Duration, Instant};

use tower_clerk::store::RedisStore;
use tower_clerk::testing::{Clock, FakeClerk};
use tower_clerk::{Access, Clerk, ClerkBuilder, Credentials};

use crate::common::{Pair, builder};

/// Engines of one instance.
struct Replicas {
    fake: FakeClerk,
    clerks: Vec<Clerk>,
}

impl Replicas {
    /// As many replicas as there are stores, without limits, when all are connected.
    async fn unlimited(stores: impl IntoIterator<Item = RedisStore>) -> Self {
        let fake = FakeClerk::builder().no_rate_limit().build();
        Self::of(fake, stores, ClerkBuilder::unlimited_sign_ins).await
    }

    async fn of(
        fake: FakeClerk,
        stores: impl IntoIterator<Item = RedisStore>,
        engine: impl Fn(ClerkBuilder) -> ClerkBuilder,
    ) -> Self {
        let build = |store| engine(builder(&fake, Clock::system())).store(store).build().unwrap();
        let clerks: Vec<Clerk> = stores.into_iter().map(build).collect();
        for clerk in &clerks {
            until("it is connected", || !clerk.stats().replica.unwrap().is_alone).await;
        }
        Self { fake, clerks }
    }

    async fn sign_in(&self, replica: usize, pair: Pair) -> String {
        let credentials = Credentials::new(pair.0, pair.1).unwrap();
        let session = self.clerks[replica].authenticate(&credentials, &Access::new()).await.unwrap();
        session.user_id().to_owned()
    }

    /// Whether a replica serves users from its cache.
    fn sessions(&self, replica: usize) -> u64 {
        self.clerks[replica].stats().sessions
    }
}

/// Waits until something is so. Other processes make it so, on the real clock.
#[track_caller]
fn until<'a>(what: &'a str, mut is_so: impl FnMut() -> bool + 'a) -> impl Future<Output = Duration> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}, at {caller}");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        began.elapsed()
    }
}
