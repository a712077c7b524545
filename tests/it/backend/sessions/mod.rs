//! The Backend API's road: sessions that outlive their entries, and the tokens made for them.

mod displaced;
mod ends;
mod gone;
mod kept;
mod organizations;
mod refusals;
mod remote;
mod revocations;
mod tokens;

use std::time::Duration;

use crate::common::{World, settle};
use crate::stores::SharedSessions;
use tower_clerk::testing::Endpoint;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A revocation by the id of a user or the id of a session, whichever it is about.
type Revoke = fn(&World, &str, &str);

const REVOCATIONS: [(&str, Revoke); 3] = [
    ("user", |world, user, _| world.clerk.revoke_user(user)),
    ("session", |world, _, session| world.clerk.revoke_session(session)),
    ("all", |world, _, _| world.clerk.revoke_all()),
];

fn world(store: &SharedSessions) -> World {
    World::backend_with(|fake| fake, |engine| engine.session_store(store.clone()))
}

fn sign_ins(world: &World) -> usize {
    world.fake.count(Endpoint::SignIns)
}

async fn ended(world: &World) -> usize {
    settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.fake.count(Endpoint::RevokeSession)
}
