//! E-mail addresses in unusual states: shared, changed, no longer verified.

use crate::accounts::FakeUser;
use crate::fake::FakeClerk;
use crate::ids;

/// E-mail addresses.
///
/// Clerk lets any number of users have the same unverified address, so a program that looks users up by address must
/// check that the address is verified.
impl FakeClerk {
    /// Adds a user without checking that its verified identifiers are unique, and returns the id.
    ///
    /// Clerk doesn't allow two users with the same verified identifier, but a program that looks users up shouldn't
    /// rely on it. Use this method to test such a program; sign-ins with a shared identifier go to the user that was
    /// added first. [`add_user`](Self::add_user) allows only unverified addresses to be shared.
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

    /// Sets whether an e-mail address is verified.
    ///
    /// The user can't sign in with an unverified address, but the Backend API still finds the user by it.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or address.
    pub fn set_email_verified(&self, user: &str, address: &str, verified: bool) {
        self.update_user(user, |user, _, _| {
            let mut emails = user.account.emails.iter_mut();
            let email = emails.find(|(known, _)| known.eq_ignore_ascii_case(address));
            email.unwrap_or_else(|| panic!("no address {address:?}")).1 = verified;
        });
    }

    /// Replaces an e-mail address, and keeps its verification status.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or address.
    pub fn change_email(&self, user: &str, from: &str, to: impl Into<String>) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, now| {
            state.users.change_identifiers(&id, |user| {
                let at = user.account.emails.iter().position(|(known, _)| known.eq_ignore_ascii_case(from));
                let at = at.unwrap_or_else(|| panic!("no address {from:?}"));
                user.account.emails[at].0 = to.into();
                // Clerk treats the new address as a new object with its own id.
                user.email_ids[at] = ids::random("idn");
            });
            state.update_user(&id, now, |_| {});
        });
    }
}
