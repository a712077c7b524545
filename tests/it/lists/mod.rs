//! The client of the Backend API's lists (rules Y21, Y20).

mod budget;
mod failures;
mod pages;
mod socket;

use std::time::{Duration, SystemTime};

use tower_clerk::backend::{BackendClient, BackendClientBuilder};
use tower_clerk::testing::{Clock, FakeClerk, FakeClerkBuilder};

const SECOND: Duration = Duration::from_secs(1);

/// A stand-in and a client without an engine, on one clock.
struct Lists {
    clock: Clock,
    fake: FakeClerk,
    client: BackendClient,
}

impl Lists {
    /// An instance without accounts, and without limits on both sides.
    fn new() -> Self {
        Self::with(|fake| fake.empty().no_rate_limit(), unlimited)
    }

    fn with(
        fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder,
        client: impl FnOnce(BackendClientBuilder) -> BackendClientBuilder,
    ) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
        let fake = fake(FakeClerk::builder().clock(clock)).build();
        let client = client(builder(&fake, clock)).build().unwrap();
        Self { clock, fake, client }
    }
}

fn builder(fake: &FakeClerk, clock: Clock) -> BackendClientBuilder {
    BackendClient::builder(fake.secret_key())
        .backend_url(fake.backend_url())
        .transport(fake.clone())
        .clock(clock)
}

fn unlimited(client: BackendClientBuilder) -> BackendClientBuilder {
    client.backend_rate(1_000_000, SECOND).list_rate(1_000_000, SECOND)
}
