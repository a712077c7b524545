//! The users whose credentials were proven here: what a revocation has to find.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::live::LiveSession;
use crate::sync::lock;

/// Sessions per user. Each spelling of an identifier is a credential of its own, so one user could otherwise fill the
/// cache with sessions that are all the same user's.
const MAX_SESSIONS: usize = 16;

/// Organizations that a user isn't known to be a member of, asked for in any ten seconds: each costs a call.
const MAX_UNKNOWN: u32 = 32;
const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

/// One user: shared by the sessions and the proven marks that are the user's, and gone with the last of them.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: Box<str>,
    /// Counts revocations: a mark made before one is worth nothing.
    revoked: AtomicU64,
    sessions: Mutex<Vec<Weak<LiveSession>>>,
    /// Since when how many unknown organizations were asked for.
    unknown: Mutex<Option<(Instant, u32)>>,
}

impl User {
    /// Whether one more organization may be asked for that the user isn't known to be a member of.
    pub(crate) fn may_ask_for_unknown(&self, now: Instant) -> bool {
        let mut unknown = lock(&self.unknown);
        let (_, asked) = match &mut *unknown {
            Some(window) if now.saturating_duration_since(window.0) < UNKNOWN_WINDOW => window,
            stale => stale.insert((now, 0)),
        };
        *asked += 1;
        *asked <= MAX_UNKNOWN
    }

    pub(crate) fn revocations(&self) -> u64 {
        self.revoked.load(Ordering::Acquire)
    }

    /// Adds a session, and returns the oldest one where the user has too many now.
    pub(crate) fn add(&self, live: &Arc<LiveSession>) -> Option<Arc<LiveSession>> {
        let mut sessions = lock(&self.sessions);
        sessions.retain(|held| held.upgrade().is_some_and(|held| !held.is_over()));
        sessions.push(Arc::downgrade(live));
        (sessions.len() > MAX_SESSIONS).then(|| sessions.remove(0).upgrade()).flatten()
    }

    /// Voids the user's marks, and returns the sessions that are held.
    fn revoke(&self) -> Vec<Arc<LiveSession>> {
        self.revoked.fetch_add(1, Ordering::AcqRel);
        lock(&self.sessions).drain(..).filter_map(|held| held.upgrade()).collect()
    }
}

/// All users, by id.
#[derive(Debug, Default)]
pub(crate) struct Users(Mutex<Register>);

#[derive(Debug, Default)]
struct Register {
    by_id: HashMap<Box<str>, Weak<User>>,
    /// The size at which those that are gone are cleared out next.
    clear_at: usize,
}

impl Users {
    pub(crate) fn of(&self, id: &str) -> Arc<User> {
        let mut register = lock(&self.0);
        if let Some(user) = register.by_id.get(id).and_then(Weak::upgrade) {
            return user;
        }
        if register.by_id.len() >= register.clear_at {
            register.by_id.retain(|_, user| user.strong_count() > 0);
            register.clear_at = 2 * register.by_id.len() + 1024;
        }
        let user = Arc::new(User {
            id: id.into(),
            revoked: AtomicU64::new(0),
            sessions: Mutex::default(),
            unknown: Mutex::default(),
        });
        register.by_id.insert(id.into(), Arc::downgrade(&user));
        user
    }

    /// Voids what is known of a user, and returns the sessions that are held.
    pub(crate) fn revoke(&self, id: &str) -> Vec<Arc<LiveSession>> {
        let user = lock(&self.0).by_id.get(id).and_then(Weak::upgrade);
        user.map(|user| user.revoke()).unwrap_or_default()
    }

    /// Voids what is known of everybody.
    pub(crate) fn revoke_all(&self) {
        let users: Vec<_> = lock(&self.0).by_id.values().filter_map(Weak::upgrade).collect();
        users.iter().for_each(|user| _ = user.revoke());
    }
}
