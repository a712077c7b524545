//! When the password function runs: off the runtime, and two at once at most. Guesses at one record take one of the two
//! places at a time, and so do the records to be written, so that others have a place beside either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::store::records::Name;
use crate::store::sealing::{PasswordCost, Secret, password_key};
use crate::sync::lock;

/// How many run at once, each with 19 MiB by default.
const AT_ONCE: usize = 2;

/// How many wait to open records: what a restart among many users brings. Each holds a password.
const MOST_WAITING: usize = 1024;

/// How many of them wait for the same record, so that guesses at one take no other user's place.
const MOST_OF_RECORD: usize = 16;

pub(super) struct PasswordFunction {
    running: Arc<Semaphore>,
    /// Records to be written wait here first, so that at most one of them is ahead of a request.
    writing: Arc<Semaphore>,
    lanes: Arc<Mutex<Lanes>>,
}

impl Default for PasswordFunction {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(AT_ONCE)),
            writing: Arc::new(Semaphore::new(1)),
            lanes: Arc::default(),
        }
    }
}

impl PasswordFunction {
    /// The key of a stored record, in turn with others that want to open it. `None` if too many of them do.
    pub(super) async fn to_open(
        &self,
        name: Name,
        password: &str,
        salt: [u8; 16],
        secret: Secret,
        cost: PasswordCost,
    ) -> Option<Secret> {
        let (caller, turns) = Caller::enter(&self.lanes, name)?;
        let turn = turns.acquire_owned().await.ok()?;
        let place = Arc::clone(&self.running).acquire_owned().await.ok()?;
        run((place, turn, Some(caller)), password, salt, secret, cost).await
    }

    /// The key of a record that is going to be written.
    pub(super) async fn to_write(
        &self,
        password: &str,
        salt: [u8; 16],
        secret: Secret,
        cost: PasswordCost,
    ) -> Option<Secret> {
        let turn = Arc::clone(&self.writing).acquire_owned().await.ok()?;
        let place = Arc::clone(&self.running).acquire_owned().await.ok()?;
        run((place, turn, None), password, salt, secret, cost).await
    }
}

#[cfg(test)]
impl PasswordFunction {
    pub(super) fn hold(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.running).try_acquire_many_owned(AT_ONCE as u32).unwrap()
    }
}

/// Runs the function on a thread for blocking work. It can't be stopped, so it holds its places itself: a caller that
/// goes away must not make room for another run.
async fn run(
    places: (OwnedSemaphorePermit, OwnedSemaphorePermit, Option<Caller>),
    password: &str,
    salt: [u8; 16],
    secret: Secret,
    cost: PasswordCost,
) -> Option<Secret> {
    let password = Zeroizing::new(password.to_owned());
    let running = tokio::task::spawn_blocking(move || {
        let key = password_key(&password, &salt, &secret, cost);
        drop(places);
        key
    });
    running.await.ok()?
}

/// The callers that want to open records.
#[derive(Default)]
struct Lanes {
    by_name: HashMap<Name, Lane>,
    callers: usize,
}

/// The callers that want to open one record.
struct Lane {
    callers: usize,
    turns: Arc<Semaphore>,
}

/// A caller in its lane.
struct Caller {
    lanes: Arc<Mutex<Lanes>>,
    name: Name,
}

impl Caller {
    /// `None` if too many wait already.
    fn enter(lanes: &Arc<Mutex<Lanes>>, name: Name) -> Option<(Self, Arc<Semaphore>)> {
        let mut all = lock(lanes);
        let of_record = all.by_name.get(&name).map_or(0, |lane| lane.callers);
        if all.callers >= MOST_WAITING || of_record >= MOST_OF_RECORD {
            return None;
        }
        all.callers += 1;
        let new = || Lane { callers: 0, turns: Arc::new(Semaphore::new(1)) };
        let lane = all.by_name.entry(name).or_insert_with(new);
        lane.callers += 1;
        Some((Self { lanes: Arc::clone(lanes), name }, Arc::clone(&lane.turns)))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut all = lock(&self.lanes);
        all.callers -= 1;
        if let Some(lane) = all.by_name.get_mut(&self.name) {
            lane.callers -= 1;
            if lane.callers == 0 {
                all.by_name.remove(&self.name);
            }
        }
    }
}
