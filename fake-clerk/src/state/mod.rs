//! The instance's state: users, organizations, clients, sessions.
//!
//! Each kind has a store with the indexes for its look-ups, so that no request scans everything.

pub(crate) mod api_keys;
pub(crate) mod changes;
pub(crate) mod clients;
pub(crate) mod identifiers;
pub(crate) mod limits;
mod linked;
mod members;
pub(crate) mod organizations;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod tickets;
pub(crate) mod users;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::accounts::FakeUser;
use crate::clock::Now;
pub(crate) use crate::state::api_keys::{ApiKey, ApiKeys};
pub(crate) use crate::state::changes::Change;
pub(crate) use crate::state::clients::{Client, KnownDevices};
pub(crate) use crate::state::limits::{Limits, Window};
pub(crate) use crate::state::organizations::{Membership, Memberships, Organization, Organizations};
pub use crate::state::session::{FakeSession, SessionStatus};
pub(crate) use crate::state::sessions::{Session, Sessions};
pub(crate) use crate::state::tickets::{Ticket, TicketStatus};
pub(crate) use crate::state::users::{Lock, User, Users};
use crate::tokens::KeyRing;

pub(crate) struct Template {
    pub(crate) life: Duration,
    pub(crate) claims: Map<String, Value>,
}

pub(crate) struct State {
    pub(crate) users: Users,
    pub(crate) organizations: Organizations,
    pub(crate) memberships: Memberships,
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) known_devices: KnownDevices,
    pub(crate) sessions: Sessions,
    pub(crate) api_keys: ApiKeys,
    pub(crate) templates: HashMap<String, Template>,
    pub(crate) session_claims: Map<String, Value>,
    pub(crate) keys: KeyRing,
    /// Sign-in tokens by id.
    pub(crate) tickets: HashMap<String, Ticket>,
    pub(crate) limits: Limits,
    /// The changes since webhooks were last told.
    pub(crate) changes: Vec<Change>,
}

impl State {
    pub(crate) fn new(keys: KeyRing) -> Self {
        Self {
            users: Users::default(),
            organizations: Organizations::default(),
            memberships: Memberships::default(),
            clients: HashMap::new(),
            known_devices: KnownDevices::default(),
            sessions: Sessions::default(),
            api_keys: ApiKeys::default(),
            templates: HashMap::new(),
            session_claims: Map::new(),
            keys,
            tickets: HashMap::new(),
            limits: Limits::default(),
            changes: Vec::new(),
        }
    }

    /// Adds a user without checking that identifiers are unique, and returns the id.
    pub(crate) fn add_user(&mut self, account: FakeUser, now: Now) -> String {
        let id = account.id.clone();
        match self.users.add(account, now) {
            Some(former) => {
                self.leave_organizations(&former);
                self.changes.push(Change::UserUpdated(id.clone()));
            }
            None => self.changes.push(Change::UserCreated(id.clone())),
        }
        id
    }

    /// Changes a user in a way that others can see.
    pub(crate) fn update_user(&mut self, id: &str, now: Now, change: impl FnOnce(&mut User)) {
        let Some(user) = self.users.get_mut(id) else { return };
        change(user);
        user.updated = now.instant;
        self.changes.push(Change::UserUpdated(id.to_owned()));
    }

    /// Removes a user with all sessions.
    pub(crate) fn remove_user(&mut self, id: &str) {
        let Some(user) = self.users.remove(id) else { return };
        self.leave_organizations(&user);
        for session in self.sessions.remove_of_user(id) {
            if let Some(client) = self.clients.get_mut(&session.client) {
                client.sessions.retain(|listed| *listed != session.id);
                client.last_active_session.take_if(|last| *last == session.id);
            }
        }
        self.known_devices.forget_user(id);
        self.changes.push(Change::UserDeleted(id.to_owned()));
    }

    fn leave_organizations(&mut self, user: &User) {
        for membership in &user.memberships {
            if let Some(organization) = self.organizations.get_mut(&membership.organization) {
                organization.members.remove(&membership.number);
            }
            self.memberships.remove(membership.number);
        }
    }

    /// Bans a user and revokes the user's sessions.
    pub(crate) fn ban(&mut self, user: &str, now: Now) {
        self.update_user(user, now, |user| user.account.banned = true);
        self.end_sessions_of_user(user, SessionStatus::Revoked, now);
    }

    /// Gives a session another status.
    pub(crate) fn set_session_status(&mut self, id: &str, to: SessionStatus, now: Now) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.status = to;
            session.updated = now.instant;
            self.changes.push(Change::Session(id.to_owned(), to));
        }
    }

    /// Gives a session its final status, and returns whether it was live until then.
    pub(crate) fn end_session(&mut self, id: &str, to: SessionStatus, now: Now) -> bool {
        let is_live = self.sessions.get(id).is_some_and(|session| session.is_live(now.instant));
        if is_live {
            self.set_session_status(id, to, now);
        }
        is_live
    }

    pub(crate) fn end_sessions_of_user(&mut self, user: &str, to: SessionStatus, now: Now) {
        let sessions: Vec<String> = self.sessions.of_user(user).map(|session| session.id.clone()).collect();
        sessions.iter().for_each(|id| _ = self.end_session(id, to, now));
    }

    pub(crate) fn end_sessions_of_client(&mut self, client: &str, to: SessionStatus, now: Now) {
        let sessions: Vec<String> =
            self.sessions.of_client(client).map(|session| session.id.clone()).collect();
        sessions.iter().for_each(|id| _ = self.end_session(id, to, now));
    }

    /// Returns a client's live sessions, oldest first.
    pub(crate) fn live_sessions_of<'a>(
        &'a self,
        client: &'a Client,
        now: Now,
    ) -> impl Iterator<Item = &'a Session> {
        client
            .sessions
            .iter()
            .filter_map(|id| self.sessions.get(id))
            .filter(move |session| session.is_live(now.instant))
    }
}
