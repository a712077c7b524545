//! Clients: the devices that sessions are opened on.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use crate::clock::Now;
use crate::ids;
use crate::state::sign_in::SignIn;

/// A device, identified by a client token.
pub(crate) struct Client {
    pub(crate) id: String,
    /// Rotates at each sign-in, so that a token planted before the sign-in is invalid after it.
    pub(crate) rotating: String,
    pub(crate) sessions: Vec<String>,
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) last_active_session: Option<String>,
    pub(crate) last_strategy: Option<&'static str>,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
}

impl Client {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            id: ids::random("client"),
            rotating: ids::base62(40),
            sessions: Vec::new(),
            sign_in: None,
            last_active_session: None,
            last_strategy: None,
            created: now.instant,
            updated: now.instant,
        }
    }
}

/// The clients on which each user had a session: the devices that Device Trust knows.
///
/// Indexed by user, so that deleting a user doesn't scan all clients. Deleted clients stay, since their ids are never
/// reused.
#[derive(Default)]
pub(crate) struct KnownDevices(HashMap<String, HashSet<String>>);

impl KnownDevices {
    pub(crate) fn add(&mut self, user: &str, client: &str) {
        self.0.entry(user.to_owned()).or_default().insert(client.to_owned());
    }

    pub(crate) fn knows(&self, user: &str, client: &str) -> bool {
        self.0.get(user).is_some_and(|clients| clients.contains(client))
    }

    pub(crate) fn forget_user(&mut self, user: &str) {
        self.0.remove(user);
    }
}
