//! The instance's state: users, organizations, clients, sessions.
//!
//! Each kind has a store with the indexes for its look-ups, so that no request scans everything.

pub(crate) mod api_keys;
pub(crate) mod clients;
pub(crate) mod identifiers;
pub(crate) mod limits;
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
pub(crate) use crate::state::clients::{Client, KnownDevices};
pub(crate) use crate::state::limits::{Limits, Window};
pub(crate) use crate::state::organizations::{Membership, Organization, Organizations};
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
}

impl State {
    pub(crate) fn new(keys: KeyRing) -> Self {
        Self {
            users: Users::default(),
            organizations: Organizations::default(),
            clients: HashMap::new(),
            known_devices: KnownDevices::default(),
            sessions: Sessions::default(),
            api_keys: ApiKeys::default(),
            templates: HashMap::new(),
            session_claims: Map::new(),
            keys,
            tickets: HashMap::new(),
            limits: Limits::default(),
        }
    }

    /// Adds a user without checking that identifiers are unique, and returns the id.
    pub(crate) fn add_user(&mut self, account: FakeUser, now: Now) -> String {
        let id = account.id.clone();
        self.users.add(account, now);
        id
    }

    /// Removes a user with all sessions.
    pub(crate) fn remove_user(&mut self, id: &str) {
        let Some(user) = self.users.remove(id) else { return };
        for membership in user.memberships {
            if let Some(organization) = self.organizations.get_mut(&membership.organization) {
                organization.members -= 1;
            }
        }
        for session in self.sessions.remove_of_user(id) {
            if let Some(client) = self.clients.get_mut(&session.client) {
                client.sessions.retain(|listed| *listed != session.id);
                client.last_active_session.take_if(|last| *last == session.id);
            }
        }
        self.known_devices.forget_user(id);
    }

    pub(crate) fn membership(&self, user: &str, organization: &str) -> Option<&Membership> {
        let memberships = &self.users.get(user)?.memberships;
        memberships.iter().find(|membership| membership.organization == organization)
    }

    /// Bans a user and revokes the user's sessions.
    pub(crate) fn ban(&mut self, user: &str, now: Now) {
        if let Some(user) = self.users.get_mut(user) {
            user.account.banned = true;
        }
        self.sessions.end_of_user(user, SessionStatus::Revoked, now);
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
