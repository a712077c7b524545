//! The users of an engine, and what they see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_clerk::stats::Stats;
use tower_clerk::{Access, Clerk, Credentials, Rejection};

use super::{PASSWORD, Tally};

/// The number of users and the rate of their requests.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) users: u32,
    pub(super) every: Duration,
    pub(super) token_life: Duration,
}

/// Users who send requests until they are aborted.
pub(super) struct Users {
    tasks: JoinSet<()>,
    seen: Arc<Seen>,
}

/// The answers to the users.
pub(super) struct Seen {
    users: u64,
    began: Instant,
    requests: AtomicU64,
    first: AtomicU64,
    /// Rejections before the user's first accepted request, and the longest `Retry-After` among them.
    early_rejections: Mutex<(Tally, Duration)>,
    /// The time at which every user had been let in once, and the statistics at that time.
    warm: OnceLock<(Instant, Stats)>,
    /// The answers to users after their first accepted request, before and after `warm`.
    later: [Mutex<Later>; 2],
}

/// The answers to users after their first accepted request.
#[derive(Clone, Default)]
pub(super) struct Later {
    pub(super) waits: Vec<Duration>,
    pub(super) refused: Tally,
}

pub(super) fn identifier(at: u32) -> String {
    format!("person{at}@example.com")
}

impl Users {
    pub(super) fn start(clerk: &Clerk, load: Load) -> Self {
        let seen = Arc::new(Seen {
            users: u64::from(load.users),
            began: Instant::now(),
            requests: AtomicU64::new(0),
            first: AtomicU64::new(0),
            early_rejections: Mutex::default(),
            warm: OnceLock::new(),
            later: Default::default(),
        });
        let mut tasks = JoinSet::new();
        for at in 0..load.users {
            let Ok(credentials) = Credentials::new(identifier(at), PASSWORD) else { continue };
            tasks.spawn(live(clerk.clone(), credentials, at, load, Arc::clone(&seen)));
        }
        Self { tasks, seen }
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}

impl Seen {
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn first(&self) -> u64 {
        self.first.load(Ordering::Relaxed)
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn early_rejections(&self) -> u64 {
        lock(&self.early_rejections).0.values().sum()
    }

    pub(super) fn early_rejections_by_code(&self) -> Tally {
        lock(&self.early_rejections).0.clone()
    }

    /// The longest `Retry-After` before a user's first accepted request.
    pub(super) fn longest_retry_after(&self) -> Duration {
        lock(&self.early_rejections).1
    }

    pub(super) fn warm(&self) -> Option<(Instant, Stats)> {
        self.warm.get().cloned()
    }

    pub(super) fn warm_at(&self) -> Option<Instant> {
        self.warm.get().map(|(at, _)| *at)
    }

    pub(super) fn is_warm(&self) -> bool {
        self.warm.get().is_some()
    }

    pub(super) fn early(&self) -> Later {
        lock(&self.later[0]).clone()
    }

    pub(super) fn late(&self) -> Later {
        lock(&self.later[1]).clone()
    }

    fn reject_early(&self, rejection: &Rejection) {
        let mut early = lock(&self.early_rejections);
        *early.0.entry(name(rejection)).or_default() += 1;
        early.1 = early.1.max(rejection.retry_after().unwrap_or_default());
    }

    fn let_in(&self, clerk: &Clerk) {
        if self.first.fetch_add(1, Ordering::Relaxed) + 1 == self.users {
            _ = self.warm.set((Instant::now(), clerk.stats()));
        }
    }
}

/// One user, who sends requests at intervals, and after a rejection waits for `Retry-After`.
async fn live(clerk: Clerk, credentials: Credentials, at: u32, load: Load, seen: Arc<Seen>) {
    let (mut dice, mut known) = (u64::from(at) * 2_654_435_761 + 1, false);
    tokio::time::sleep(load.every * at / load.users).await;
    loop {
        let (asked, late) = (Instant::now(), seen.is_warm());
        let answer = clerk.authenticate(&credentials, &Access::new()).await;
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let mut pause = None;
        match &answer {
            Ok(_) if known => {
                if !asked.elapsed().is_zero() {
                    lock(&seen.later[usize::from(late)]).waits.push(asked.elapsed());
                }
            }
            Ok(_) => seen.let_in(&clerk),
            Err(rejection) => {
                if known {
                    *lock(&seen.later[usize::from(late)]).refused.entry(name(rejection)).or_default() += 1;
                } else {
                    seen.reject_early(rejection);
                }
                pause = rejection.retry_after();
            }
        }
        known |= answer.is_ok();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        // Four to six fifths of the interval, so that users don't stay in step.
        let usual =
            load.every * 4 / 5 + Duration::from_millis(dice % (load.every.as_millis() as u64 * 2 / 5));
        tokio::time::sleep(pause.unwrap_or(usual)).await;
    }
}

fn name(rejection: &Rejection) -> String {
    format!("{} {}", rejection.code(), rejection.upstream_code().unwrap_or_default()).trim_end().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
