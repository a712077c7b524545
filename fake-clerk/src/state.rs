//! What the instance holds: users, organizations, clients, sessions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::FakeClerkBuilder;
use super::accounts::{FakeOrganization, FakeUser};
use super::addresses::{identifiers, normalize};
use super::attempt::SignIn;
pub(super) use super::clock::Now;
use super::handler::Window;
use super::ids;
use super::session::{FakeSession, SessionStatus};
use super::ticket::Ticket;
use super::tokens::KeyRing;

pub(super) struct User {
    /// Which one it is of all: under a paused clock many are added at one instant.
    pub(super) number: usize,
    pub(super) account: FakeUser,
    pub(super) email_ids: Vec<String>,
    pub(super) phone_id: String,
    pub(super) lock: Option<Lock>,
    /// Wrong attempts since the last success.
    pub(super) failures: u32,
    /// Tasks that new sessions begin with.
    pub(super) tasks: Vec<String>,
    pub(super) memberships: Vec<Membership>,
    /// The code that was mailed last.
    pub(super) last_code: Option<String>,
    pub(super) created: Instant,
    pub(super) password_set: Instant,
    pub(super) last_sign_in: Option<Instant>,
}

impl User {
    /// Locks the user for as long as wrong passwords would, or without an end if the instance has no lock-out.
    pub(super) fn lock(&mut self, settings: &FakeClerkBuilder, now: Now) {
        self.lock = Some(Lock { until: settings.lockout.map(|(_, duration)| now.instant + duration) });
    }

    /// Takes a lock off, and forgets the failures.
    pub(super) fn unlock(&mut self) {
        self.lock = None;
        self.failures = 0;
    }
}

#[derive(Clone, Copy)]
pub(super) struct Lock {
    /// `None`: until somebody unlocks the user.
    pub(super) until: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct Membership {
    pub(super) id: String,
    pub(super) organization: String,
    pub(super) role: String,
    pub(super) created: Instant,
}

pub(super) struct Organization {
    pub(super) about: FakeOrganization,
    pub(super) created: Instant,
    pub(super) members: usize,
}

pub(super) struct Session {
    /// Which one it is of all: under a paused clock many are opened at one instant.
    pub(super) number: usize,
    pub(super) id: String,
    pub(super) user: String,
    pub(super) client: String,
    pub(super) status: SessionStatus,
    pub(super) tasks: Vec<String>,
    pub(super) organization: Option<String>,
    pub(super) created: Instant,
    pub(super) last_active: Instant,
    pub(super) expires: Instant,
    pub(super) second_factor: bool,
}

impl Session {
    /// The status, with regard to the end of the session's life.
    pub(super) fn status(&self, now: Instant) -> SessionStatus {
        if self.status.is_live() && now >= self.expires { SessionStatus::Expired } else { self.status }
    }

    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.status(now).is_live()
    }

    pub(super) fn public(&self, now: Now) -> FakeSession {
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

/// A device: what a client token stands for.
pub(super) struct Client {
    pub(super) id: String,
    /// Changes at each sign-in, so that a token planted before it is worth nothing after it.
    pub(super) rotating: String,
    pub(super) sessions: Vec<String>,
    pub(super) sign_in: Option<SignIn>,
    /// Users who had a session here: the device that Device Trust knows.
    pub(super) known_users: HashSet<String>,
    pub(super) last_active_session: Option<String>,
    pub(super) last_strategy: Option<&'static str>,
    pub(super) created: Instant,
    pub(super) updated: Instant,
}

impl Client {
    pub(super) fn new(now: Now) -> Self {
        Self {
            id: ids::random("client"),
            rotating: ids::base62(40),
            sessions: Vec::new(),
            sign_in: None,
            known_users: HashSet::new(),
            last_active_session: None,
            last_strategy: None,
            created: now.instant,
            updated: now.instant,
        }
    }
}

/// A JWT template of the instance.
pub(super) struct Template {
    pub(super) life: Duration,
    pub(super) claims: Map<String, Value>,
}

pub(super) struct State {
    pub(super) users: HashMap<String, User>,
    /// From a normalised identifier to the user's id.
    pub(super) identifiers: HashMap<String, String>,
    pub(super) organizations: HashMap<String, Organization>,
    pub(super) clients: HashMap<String, Client>,
    pub(super) sessions: HashMap<String, Session>,
    /// How many sessions were ever opened.
    pub(super) opened: usize,
    pub(super) templates: HashMap<String, Template>,
    pub(super) session_claims: Map<String, Value>,
    pub(super) keys: KeyRing,
    /// Sign-in tokens by id.
    pub(super) tickets: HashMap<String, Ticket>,
    /// When what counts against a limit happened, by the limit and whom it is counted for.
    pub(super) windows: HashMap<(Window, Option<IpAddr>), VecDeque<Instant>>,
    /// How many users were ever added.
    added: usize,
}

impl State {
    pub(super) fn new(keys: KeyRing) -> Self {
        Self {
            users: HashMap::new(),
            identifiers: HashMap::new(),
            organizations: HashMap::new(),
            clients: HashMap::new(),
            sessions: HashMap::new(),
            opened: 0,
            templates: HashMap::new(),
            session_claims: Map::new(),
            keys,
            tickets: HashMap::new(),
            windows: HashMap::new(),
            added: 0,
        }
    }

    /// Adds a user. An identifier that somebody has already stays theirs.
    pub(super) fn add_user(&mut self, account: FakeUser, now: Now) -> String {
        let id = account.id.clone();
        for identifier in identifiers(&account) {
            self.identifiers.entry(normalize(&identifier)).or_insert_with(|| id.clone());
        }
        self.added += 1;
        let user = User {
            number: self.added,
            email_ids: account.emails.iter().map(|_| ids::random("idn")).collect(),
            phone_id: ids::random("idn"),
            lock: account.locked.then_some(Lock { until: None }),
            failures: 0,
            tasks: Vec::new(),
            memberships: Vec::new(),
            last_code: None,
            created: now.instant,
            password_set: now.instant,
            last_sign_in: None,
            account,
        };
        self.users.insert(id.clone(), user);
        id
    }

    pub(super) fn remove_user(&mut self, id: &str) {
        let Some(user) = self.users.remove(id) else { return };
        self.index_identifiers();
        for membership in user.memberships {
            if let Some(organization) = self.organizations.get_mut(&membership.organization) {
                organization.members -= 1;
            }
        }
        self.sessions.retain(|_, session| session.user != id);
        for client in self.clients.values_mut() {
            client.sessions.retain(|session| self.sessions.contains_key(session));
            client.last_active_session.take_if(|session| !self.sessions.contains_key(session.as_str()));
            client.known_users.remove(id);
        }
    }

    /// Who has an identifier to sign in with.
    pub(super) fn user_by_identifier(&self, identifier: &str) -> Option<&str> {
        self.identifiers.get(&normalize(identifier)).map(String::as_str)
    }

    /// A user by id or any identifier.
    pub(super) fn user_id(&self, user: &str) -> Option<String> {
        if self.users.contains_key(user) {
            return Some(user.to_owned());
        }
        self.user_by_identifier(user).map(str::to_owned)
    }

    /// An organization by id or slug.
    pub(super) fn organization_id(&self, organization: &str) -> Option<String> {
        if self.organizations.contains_key(organization) {
            return Some(organization.to_owned());
        }
        self.organizations
            .values()
            .find(|known| known.about.slug == organization)
            .map(|known| known.about.id.clone())
    }

    pub(super) fn membership(&self, user: &str, organization: &str) -> Option<&Membership> {
        let memberships = &self.users.get(user)?.memberships;
        memberships.iter().find(|membership| membership.organization == organization)
    }

    /// Ends the live sessions that `which` picks, in a way of ending.
    pub(super) fn end_sessions(&mut self, to: SessionStatus, now: Now, which: impl Fn(&Session) -> bool) {
        for session in self.sessions.values_mut() {
            if session.is_live(now.instant) && which(session) {
                session.status = to;
            }
        }
    }

    /// Bans a user, which revokes all sessions.
    pub(super) fn ban(&mut self, user: &str, now: Now) {
        if let Some(user) = self.users.get_mut(user) {
            user.account.banned = true;
        }
        self.end_sessions(SessionStatus::Revoked, now, |session| session.user == user);
    }

    /// The live sessions of a client, in the order they were made.
    pub(super) fn live_sessions_of<'a>(
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
