//! Users, found by id and by whatever they may sign in with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use crate::accounts::FakeUser;
use crate::clock::Now;
use crate::ids;
use crate::settings::FakeClerkBuilder;
use crate::state::identifiers::{all_identifiers, normalize, verified_identifiers};
use crate::state::organizations::Membership;

pub(crate) struct User {
    /// Counts all users that were ever added: under a paused clock many are added at one instant.
    pub(crate) number: usize,
    pub(crate) account: FakeUser,
    pub(crate) email_ids: Vec<String>,
    pub(crate) phone_id: String,
    pub(crate) lock: Option<Lock>,
    /// Wrong attempts since the last success.
    pub(crate) failures: u32,
    /// Tasks that new sessions begin with.
    pub(crate) tasks: Vec<String>,
    pub(crate) memberships: Vec<Membership>,
    /// The code that was mailed last.
    pub(crate) last_code: Option<String>,
    pub(crate) created: Instant,
    pub(crate) password_set: Instant,
    pub(crate) last_sign_in: Option<Instant>,
}

impl User {
    /// Locks the user for as long as wrong passwords would, or without an end if the instance has no lock-out.
    pub(crate) fn lock(&mut self, settings: &FakeClerkBuilder, now: Now) {
        self.lock = Some(Lock { until: settings.lockout.map(|(_, duration)| now.instant + duration) });
    }

    /// Takes a lock off, and forgets the failures.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
        self.failures = 0;
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Lock {
    /// `None`: until the user is unlocked.
    pub(crate) until: Option<Instant>,
}

/// All users.
#[derive(Default)]
pub(crate) struct Users {
    by_id: HashMap<String, User>,
    /// Ids in the order that the users were added in.
    by_number: BTreeMap<usize, String>,
    /// The numbers of all users with a normalised address, phone number or username, verified or not.
    by_identifier: HashMap<String, BTreeSet<usize>>,
    /// How many were ever added.
    added: usize,
}

impl Users {
    /// Adds a user, in the place of one with the same id.
    pub(crate) fn add(&mut self, account: FakeUser, now: Now) {
        self.remove(&account.id);
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
        self.insert(user);
    }

    fn insert(&mut self, user: User) {
        let id = user.account.id.clone();
        for identifier in all_identifiers(&user.account) {
            self.by_identifier.entry(normalize(identifier)).or_default().insert(user.number);
        }
        self.by_number.insert(user.number, id.clone());
        self.by_id.insert(id, user);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<User> {
        let user = self.by_id.remove(id)?;
        self.by_number.remove(&user.number);
        for identifier in all_identifiers(&user.account) {
            let identifier = normalize(identifier);
            if let Some(holders) = self.by_identifier.get_mut(&identifier) {
                holders.remove(&user.number);
                if holders.is_empty() {
                    self.by_identifier.remove(&identifier);
                }
            }
        }
        Some(user)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&User> {
        self.by_id.get(id)
    }

    /// A user to be changed, in anything but addresses, phone number and username.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut User> {
        self.by_id.get_mut(id)
    }

    /// Changes a user's addresses, phone number or username.
    pub(crate) fn change_identifiers(&mut self, id: &str, change: impl FnOnce(&mut User)) {
        if let Some(mut user) = self.remove(id) {
            change(&mut user);
            self.insert(user);
        }
    }

    /// All users, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &User> {
        self.by_number.values().rev().filter_map(|id| self.by_id.get(id))
    }

    /// The users with an address, a phone number or a username, verified or not, the first to be added first.
    pub(crate) fn having(&self, identifier: &str) -> impl Iterator<Item = &User> {
        let holders = self.by_identifier.get(&normalize(identifier));
        let ids = holders.into_iter().flatten().filter_map(|number| self.by_number.get(number));
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// The user who signs in with an identifier: of several, the first to be added.
    pub(crate) fn by_identifier(&self, identifier: &str) -> Option<&User> {
        let wanted = normalize(identifier);
        self.having(identifier)
            .find(|user| verified_identifiers(&user.account).any(|own| normalize(own) == wanted))
    }

    /// The id of a user named by id or by any identifier.
    pub(crate) fn id_of(&self, user: &str) -> Option<String> {
        let found = self.by_id.get(user).or_else(|| self.by_identifier(user))?;
        Some(found.account.id.clone())
    }

    /// An identifier of an account that another user signs in with.
    pub(crate) fn taken_identifier(&self, account: &FakeUser) -> Option<String> {
        let taken = |identifier: &&str| {
            self.by_identifier(identifier).is_some_and(|owner| owner.account.id != account.id)
        };
        verified_identifiers(account).find(taken).map(str::to_owned)
    }
}
