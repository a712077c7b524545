//! State that outlives a process in a store, on either API (rules H1 to H8, K9, K10, K13).

mod budget;
mod ends;
mod killed;
mod processes;
mod proofs;
mod revocations;

use std::time::Duration;

use tower_clerk::ClerkBuilder;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use crate::common::{World, backend_builder, builder};
use crate::stores::StoreFile;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The API that verifies passwords.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Api {
    Frontend,
    Backend,
}

const BOTH: [Api; 2] = [Api::Frontend, Api::Backend];

impl Api {
    /// The first process, with a stand-in without limits.
    fn world(self, store: &StoreFile, engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder) -> World {
        let engine = |it: ClerkBuilder| engine(it.unlimited_sign_ins().store(store.open()));
        match self {
            Self::Frontend => World::with(FakeClerkBuilder::no_rate_limit, engine),
            Self::Backend => World::backend_with(
                |fake| fake.no_rate_limit().backend_limit(100_000, Duration::from_secs(10)),
                engine,
            ),
        }
    }

    /// A process on the same store. The former one may live on, or have been killed: a test that asks it for nothing
    /// can't tell.
    fn next(
        self,
        world: &World,
        store: &StoreFile,
        engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
    ) -> World {
        let new = match self {
            Self::Frontend => builder(&world.fake, world.clock),
            Self::Backend => backend_builder(&world.fake, world.clock),
        };
        let clerk = engine(new.unlimited_sign_ins().store(store.open())).build().unwrap();
        World { clerk, ..world.clone() }
    }

    /// How often a password was compared at Clerk, by a sign-in or by the secret key.
    fn proofs(self, world: &World) -> usize {
        world.fake.count(match self {
            Self::Frontend => Endpoint::SignIns,
            Self::Backend => Endpoint::VerifyPassword,
        })
    }
}

fn same(engine: ClerkBuilder) -> ClerkBuilder {
    engine
}
