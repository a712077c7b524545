//! Devices that Clerk knows (rule S10).

mod calls;
mod clock;
mod enrollment;
mod gone;
mod known;
mod other_users;
mod processes;
mod shared;

use std::time::Duration;

use crate::common::{World, builder};
use crate::stores::StoreFile;
use tower_clerk::testing::FakeClerkBuilder;

const HOUR: Duration = Duration::from_secs(3600);

/// An instance, and an engine whose device store outlives it.
fn world(devices: &StoreFile, fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> World {
    World::with(fake, |engine| engine.store(devices.open()))
}

/// Restarts a killed process, which has ended no session and has left only its store.
fn killed(world: &World, devices: &StoreFile) -> World {
    let clerk = builder(&world.fake, world.clock).store(devices.open()).build().unwrap();
    World { clock: world.clock, fake: world.fake.clone(), clerk }
}
