//! The Backend API: sessions that outlive their cache entries, and the tokens minted for them.

mod displaced;
mod ends;
mod gone;
mod lost;
mod organizations;
mod refusals;
mod revocations;
mod stored;
mod tokens;

use std::time::Duration;

use crate::common::{World, run_ready_tasks};
use crate::stores::StoreFile;
use tower_clerk::testing::Endpoint;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A revocation, called with a user id and a session id.
type Revoke = fn(&World, &str, &str);

const REVOCATIONS: [(&str, Revoke); 3] = [
    ("user", |world, user, _| world.clerk.revoke_user(user)),
    ("session", |world, _, session| world.clerk.revoke_session(session)),
    ("all", |world, _, _| world.clerk.revoke_all()),
];

fn world(store: &StoreFile) -> World {
    World::backend_with(|fake| fake, |engine| engine.store(store.open()))
}

fn sign_ins(world: &World) -> usize {
    world.fake.count(Endpoint::SignIns)
}

/// Waits for queued ends, and returns how many sessions the engine has ended.
async fn ended(world: &World) -> usize {
    run_ready_tasks().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.fake.count(Endpoint::RevokeSession)
}
