//! Sessions, indexed by id, user and client.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use crate::clock::Now;
use crate::state::session::{FakeSession, SessionStatus};

pub(crate) struct Session {
    /// A sequence number, because many sessions can be opened at the same instant under a paused clock.
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) status: SessionStatus,
    pub(crate) tasks: Vec<String>,
    pub(crate) organization: Option<String>,
    pub(crate) created: Instant,
    pub(crate) last_active: Instant,
    /// When the session was last used, or got its status.
    pub(crate) updated: Instant,
    pub(crate) expires: Instant,
    /// When the user last verified the first factor.
    pub(crate) first_factor: Instant,
    /// When the user last verified the second factor, if ever.
    pub(crate) second_factor: Option<Instant>,
}

impl Session {
    /// Returns the status, which is `Expired` for a live session past its lifetime.
    pub(crate) fn status(&self, now: Instant) -> SessionStatus {
        if self.status.is_live() && now >= self.expires { SessionStatus::Expired } else { self.status }
    }

    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.status(now).is_live()
    }

    pub(crate) fn public(&self, now: Now) -> FakeSession {
        FakeSession {
            id: self.id.clone(),
            user_id: self.user.clone(),
            client_id: self.client.clone(),
            status: self.status(now.instant),
            last_active_organization_id: self.organization.clone(),
            tasks: self.tasks.clone(),
            created_at: self.created,
            expires_at: self.expires,
        }
    }
}

/// All sessions, including ended ones.
#[derive(Default)]
pub(crate) struct Sessions {
    by_id: HashMap<String, Session>,
    /// Numbers and ids of each user's sessions.
    of_user: HashMap<String, BTreeMap<usize, String>>,
    /// Numbers and ids of each client's sessions, including those that the client no longer lists.
    of_client: HashMap<String, BTreeMap<usize, String>>,
    /// Number of sessions ever opened.
    opened: usize,
}

impl Sessions {
    /// Returns the number of the next session.
    pub(crate) fn next_number(&mut self) -> usize {
        self.opened += 1;
        self.opened
    }

    pub(crate) fn insert(&mut self, session: Session) {
        let id = session.id.clone();
        self.of_user.entry(session.user.clone()).or_default().insert(session.number, id.clone());
        self.of_client.entry(session.client.clone()).or_default().insert(session.number, id.clone());
        self.by_id.insert(id, session);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Returns all sessions in arbitrary order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values()
    }

    /// Returns a user's sessions, oldest first.
    pub(crate) fn of_user(&self, user: &str) -> impl DoubleEndedIterator<Item = &Session> {
        let ids = self.of_user.get(user).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// Returns a client's sessions, oldest first.
    pub(crate) fn of_client(&self, client: &str) -> impl DoubleEndedIterator<Item = &Session> {
        let ids = self.of_client.get(client).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// Applies a change to each session of a user.
    pub(crate) fn change_of_user(&mut self, user: &str, mut change: impl FnMut(&mut Session)) {
        for id in self.of_user.get(user).into_iter().flat_map(BTreeMap::values) {
            if let Some(session) = self.by_id.get_mut(id) {
                change(session);
            }
        }
    }

    /// Removes a user's sessions, live or not, and returns them.
    pub(crate) fn remove_of_user(&mut self, user: &str) -> Vec<Session> {
        let ids = self.of_user.remove(user).unwrap_or_default().into_values();
        let removed: Vec<Session> = ids.filter_map(|id| self.by_id.remove(&id)).collect();
        for session in &removed {
            if let Some(others) = self.of_client.get_mut(&session.client) {
                others.remove(&session.number);
                if others.is_empty() {
                    self.of_client.remove(&session.client);
                }
            }
        }
        removed
    }
}
