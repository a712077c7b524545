//! Addresses that aren't as they should be: shared, changed, no longer verified.

use crate::accounts::FakeUser;
use crate::fake::FakeClerk;
use crate::ids;

/// Addresses. Clerk lets any number of users have one address as long as it is unverified, so a program that looks users
/// up by address must check more than the address.
impl FakeClerk {
    /// Adds a user whose verified identifiers others may have too, and returns the id.
    ///
    /// Clerk forbids this, but a program that looks users up must not rely on that. Sign-ins go to the user who was
    /// added first. [`add_user`](Self::add_user) allows addresses to be shared only as long as they are
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

    /// Sets whether an e-mail address is verified. An unverified one can't sign in, but look-ups find it.
    ///
    /// # Panics
    ///
    /// When there is no such user or address.
    pub fn set_email_verified(&self, user: &str, address: &str, verified: bool) {
        self.change_user(user, |user, _, _| {
            let mut emails = user.account.emails.iter_mut();
            let email = emails.find(|(known, _)| known.eq_ignore_ascii_case(address));
            email.unwrap_or_else(|| panic!("no address {address:?}")).1 = verified;
        });
    }

    /// Replaces an e-mail address; the new one keeps the old one's verification.
    ///
    /// # Panics
    ///
    /// When there is no such user or address.
    pub fn change_email(&self, user: &str, from: &str, to: impl Into<String>) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, _| {
            state.users.change_identifiers(&id, |user| {
                let at = user.account.emails.iter().position(|(known, _)| known.eq_ignore_ascii_case(from));
                let at = at.unwrap_or_else(|| panic!("no address {from:?}"));
                user.account.emails[at].0 = to.into();
                // Another address, not the old one with another text.
                user.email_ids[at] = ids::random("idn");
            });
        });
    }
}
