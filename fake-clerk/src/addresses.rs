//! Whose an identifier is, and addresses that aren't as they should be: shared, changed, no longer verified.

use super::FakeClerk;
use super::accounts::FakeUser;
use super::ids;
use super::state::State;

/// Addresses. Clerk lets any number of users have one address as long as it is unverified, so whoever looks users up
/// by address must check more than the address.
///
/// # Panics
///
/// These methods panic when there is no such user or address: that is a mistake in the test.
impl FakeClerk {
    /// Adds a user whose verified identifiers others may have too, and returns the id.
    ///
    /// Clerk doesn't allow this; a program that looks users up had better not rely on it. Sign-ins go to the user who
    /// was added first. [`add_user`](Self::add_user) allows addresses to be shared only as long as they are
    /// unverified.
    ///
    /// ```
    /// use fake_clerk::{FakeClerk, FakeUser};
    ///
    /// let clerk = FakeClerk::new();
    /// let impostor = clerk.add_user_unchecked(FakeUser::new("jane@example.com").password("not jane's"));
    /// assert!(impostor.starts_with("user_"));
    /// ```
    pub fn add_user_unchecked(&self, user: FakeUser) -> String {
        self.change(|state, _, now| state.add_user(user, now))
    }

    /// Makes an e-mail address of a user verified, or unverified: then nobody can sign in with it, and it is found
    /// all the same by those who look for it.
    pub fn set_email_verified(&self, user: &str, address: &str, verified: bool) {
        self.change_user(user, |user, _, _| {
            let mut emails = user.account.emails.iter_mut();
            let email = emails.find(|(known, _)| known.eq_ignore_ascii_case(address));
            email.unwrap_or_else(|| panic!("no address {address:?}")).1 = verified;
        });
        self.change(|state, _, _| state.index_identifiers());
    }

    /// Gives a user another e-mail address in the place of one, verified if that was.
    pub fn change_email(&self, user: &str, from: &str, to: impl Into<String>) {
        self.change_user(user, |user, _, _| {
            let at = user.account.emails.iter().position(|(known, _)| known.eq_ignore_ascii_case(from));
            let at = at.unwrap_or_else(|| panic!("no address {from:?}"));
            user.account.emails[at].0 = to.into();
            // Another address, not the old one with another text.
            user.email_ids[at] = ids::random("idn");
        });
        self.change(|state, _, _| state.index_identifiers());
    }
}

impl State {
    /// An identifier of an account that another user has.
    pub(super) fn taken_identifier(&self, account: &FakeUser) -> Option<String> {
        let taken = |identifier: &String| {
            self.identifiers.get(&normalize(identifier)).is_some_and(|owner| *owner != account.id)
        };
        identifiers(account).into_iter().find(taken)
    }

    /// Finds out anew whose the identifiers are. Of several users with one, it is the first's.
    pub(super) fn index_identifiers(&mut self) {
        let mut users: Vec<_> = self.users.values().collect();
        users.sort_by_key(|user| user.number);
        self.identifiers.clear();
        for user in users {
            for identifier in identifiers(&user.account) {
                let owner = self.identifiers.entry(normalize(&identifier));
                owner.or_insert_with(|| user.account.id.clone());
            }
        }
    }
}

/// What a user may sign in with. An address that was never verified isn't an identifier yet.
pub(super) fn identifiers(account: &FakeUser) -> Vec<String> {
    let emails = account.emails.iter().filter(|(_, verified)| *verified).map(|(address, _)| address.clone());
    emails.chain(account.phone.clone()).chain(account.username.clone()).collect()
}

/// Identifiers are compared without regard to case, and phone numbers without their punctuation.
pub(super) fn normalize(identifier: &str) -> String {
    let identifier = identifier.trim();
    if identifier.starts_with('+') {
        return identifier.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect();
    }
    identifier.to_lowercase()
}
