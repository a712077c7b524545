//! Users, indexed by id and by identifier.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use tokio::time::Instant;

use crate::accounts::FakeUser;
use crate::clock::Now;
use crate::ids;
use crate::settings::FakeClerkBuilder;
use crate::state::identifiers::{all_identifiers, normalize, verified_identifiers};
use crate::state::linked::ProviderIds;
use crate::state::organizations::Membership;

pub(crate) struct User {
    /// A sequence number, because many users can be added at the same instant under a paused clock.
    pub(crate) number: usize,
    pub(crate) account: FakeUser,
    pub(crate) email_ids: Vec<String>,
    pub(crate) phone_id: String,
    pub(crate) lock: Option<Lock>,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    /// Tasks that new sessions start with.
    pub(crate) tasks: Vec<String>,
    pub(crate) memberships: Vec<Membership>,
    /// The last mailed code.
    pub(crate) last_code: Option<String>,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
    pub(crate) password_set: Instant,
    /// When a second factor was last added, if ever.
    pub(crate) mfa_enabled: Option<Instant>,
    /// When the last second factor was last removed, if ever.
    pub(crate) mfa_disabled: Option<Instant>,
    pub(crate) last_sign_in: Option<Instant>,
}

impl User {
    /// Locks the user for as long as wrong passwords would, or until unlocked if the instance has no lockout.
    pub(crate) fn lock(&mut self, settings: &FakeClerkBuilder, now: Now) {
        self.lock = Some(Lock { until: settings.lockout.map(|(_, duration)| now.instant + duration) });
    }

    pub(crate) fn set_password(&mut self, password: String, now: Now) {
        self.account.password = Some(password);
        self.password_set = now.instant;
    }

    /// Sets or removes the secret of the authenticator app.
    pub(crate) fn set_totp(&mut self, secret: Option<String>, now: Now) {
        match (&self.account.totp, &secret) {
            (None, Some(_)) => self.mfa_enabled = Some(now.instant),
            (Some(_), None) => self.mfa_disabled = Some(now.instant),
            _ => {}
        }
        self.account.totp = secret;
    }

    /// Unlocks the user and clears the failures.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
        self.failures = 0;
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Lock {
    /// `None` means until the user is unlocked.
    pub(crate) until: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct Users {
    by_id: HashMap<String, User>,
    /// Ids in the order in which the users were added.
    by_number: BTreeMap<usize, String>,
    /// Numbers of all users with a normalized address, phone number or username, verified or not.
    by_identifier: HashMap<String, BTreeSet<usize>>,
    pub(crate) by_provider_id: ProviderIds,
    /// Number of users ever added.
    added: usize,
}

impl Users {
    /// Adds a user, and returns the one with the same id that it replaces.
    pub(crate) fn add(&mut self, account: FakeUser, now: Now) -> Option<User> {
        let former = self.remove(&account.id);
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
            updated: now.instant,
            password_set: now.instant,
            mfa_enabled: account.totp.as_ref().map(|_| now.instant),
            mfa_disabled: None,
            last_sign_in: None,
            account,
        };
        self.insert(user);
        former
    }

    fn insert(&mut self, user: User) {
        let id = user.account.id.clone();
        for identifier in all_identifiers(&user.account) {
            self.by_identifier.entry(normalize(identifier)).or_default().insert(user.number);
        }
        self.by_provider_id.add(user.number, &user.account);
        self.by_number.insert(user.number, id.clone());
        self.by_id.insert(id, user);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<User> {
        let user = self.by_id.remove(id)?;
        self.by_number.remove(&user.number);
        self.by_provider_id.remove(user.number, &user.account);
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

    /// Returns a user for changes of anything except addresses, phone number, username and accounts at
    /// OAuth providers, which are indexed.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut User> {
        self.by_id.get_mut(id)
    }

    /// Changes what users are looked up by, and updates the indexes.
    pub(crate) fn change_identifiers(&mut self, id: &str, change: impl FnOnce(&mut User)) {
        if let Some(mut user) = self.remove(id) {
            change(&mut user);
            self.insert(user);
        }
    }

    /// Returns the users with these numbers, oldest first.
    pub(crate) fn numbered(&self, numbers: Range<usize>) -> impl DoubleEndedIterator<Item = &User> {
        let ids = (!numbers.is_empty()).then(|| self.by_number.range(numbers)).into_iter().flatten();
        ids.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Returns the number of the first user for whom this is true. It must be true of all later ones as well.
    pub(crate) fn first_number(&self, is_late: impl Fn(&User) -> bool) -> usize {
        let (mut from, mut to) = (0, self.added + 1);
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.numbered(middle..to).next() {
                Some(user) if !is_late(user) => from = user.number + 1,
                _ => to = middle,
            }
        }
        from
    }

    /// Returns how many users were ever added.
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The time at which the newest user was added.
    pub(crate) fn last_created(&self) -> Option<Instant> {
        self.numbered(0..self.added + 1).next_back().map(|user| user.created)
    }

    /// Returns the users with an address, phone number or username, verified or not, oldest first.
    pub(crate) fn having(&self, identifier: &str) -> impl Iterator<Item = &User> {
        let holders = self.by_identifier.get(&normalize(identifier));
        let ids = holders.into_iter().flatten().filter_map(|number| self.by_number.get(number));
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// Returns the users with a number, in the order of the numbers.
    pub(crate) fn of_numbers(&self, numbers: &BTreeSet<usize>) -> impl Iterator<Item = &User> {
        numbers.iter().filter_map(|number| self.by_id.get(self.by_number.get(number)?))
    }

    /// Returns the user who signs in with an identifier: the oldest, if several have it.
    pub(crate) fn by_identifier(&self, identifier: &str) -> Option<&User> {
        let wanted = normalize(identifier);
        self.having(identifier)
            .find(|user| verified_identifiers(&user.account).any(|own| normalize(own) == wanted))
    }

    /// Returns the id of a user named by id or by any identifier.
    pub(crate) fn id_of(&self, user: &str) -> Option<String> {
        let found = self.by_id.get(user).or_else(|| self.by_identifier(user))?;
        Some(found.account.id.clone())
    }

    /// Returns an identifier of the account that another user already signs in with.
    pub(crate) fn taken_identifier(&self, account: &FakeUser) -> Option<String> {
        let taken = |identifier: &&str| {
            self.by_identifier(identifier).is_some_and(|owner| owner.account.id != account.id)
        };
        verified_identifiers(account).find(taken).map(str::to_owned)
    }
}
