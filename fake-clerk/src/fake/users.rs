//! Accounts, as an administrator changes them in Clerk's dashboard.

use crate::accounts::FakeUser;
use crate::clock::Now;
use crate::fake::FakeClerk;
use crate::settings::FakeClerkBuilder;
use crate::state::User;
use crate::totp;

/// Accounts.
///
/// Methods accept a user's id or any identifier. They panic if there is no such user, since that is a mistake in the
/// test.
impl FakeClerk {
    /// Changes a user in a way that others can see.
    pub(crate) fn update_user(&self, user: &str, change: impl FnOnce(&mut User, &FakeClerkBuilder, Now)) {
        self.change(|state, settings, now| {
            let id = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
            state.update_user(&id, now, |user| change(user, settings, now));
        });
    }

    /// Changes a user, or reads something about one, without others seeing it.
    pub(crate) fn change_user<T>(
        &self,
        user: &str,
        change: impl FnOnce(&mut User, &FakeClerkBuilder, Now) -> T,
    ) -> T {
        self.change(|state, settings, now| {
            let id = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
            let Some(found) = state.users.get_mut(&id) else { panic!("no user {user:?}") };
            change(found, settings, now)
        })
    }

    /// Returns the id of a user named by id or by any identifier, if there is one.
    #[must_use]
    pub fn user_id(&self, user: &str) -> Option<String> {
        self.change(|state, _, _| state.users.id_of(user))
    }

    /// Adds a user and returns the id. A user with the same id is replaced.
    ///
    /// # Panics
    ///
    /// Panics if another user signs in with one of the identifiers.
    pub fn add_user(&self, user: FakeUser) -> String {
        self.change(|state, _, now| {
            let taken = state.users.taken_identifier(&user);
            assert!(taken.is_none(), "another user has the identifier {}", taken.unwrap_or_default());
            state.add_user(user, now)
        })
    }

    /// Changes a password. As on Clerk, existing sessions stay live.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn set_password(&self, user: &str, password: impl Into<String>) {
        self.update_user(user, |user, _, now| user.set_password(password.into(), now));
    }

    /// Bans a user and revokes the user's sessions.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn ban(&self, user: &str) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, now| state.ban(&id, now));
    }

    /// Lifts a ban. Sessions that the ban revoked stay revoked.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn unban(&self, user: &str) {
        self.update_user(user, |user, _, _| user.account.banned = false);
    }

    /// Locks a user for as long as wrong passwords would (1 h by default), or until [`unlock`](Self::unlock) if the
    /// instance has no lockout. Existing sessions stay live.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn lock(&self, user: &str) {
        self.update_user(user, |user, settings, now| user.lock(settings, now));
    }

    /// Unlocks a user and clears the failures.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn unlock(&self, user: &str) {
        self.update_user(user, |user, _, _| user.unlock());
    }

    /// Sets whether sign-ins require a code from an authenticator app. See [`totp_code`](Self::totp_code).
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn require_second_factor(&self, user: &str, required: bool) {
        self.update_user(user, |user, _, now| {
            let secret = required.then(|| user.account.totp.clone().unwrap_or_else(totp::secret));
            user.set_totp(secret, now);
        });
    }

    /// Sets whether the next sign-in ends in `needs_new_password`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn require_new_password(&self, user: &str, required: bool) {
        self.change_user(user, |user, _, _| user.account.new_password = required);
    }

    /// Makes new sessions of this user `pending` with a task: `choose-organization`, `setup-mfa` or `reset-password`.
    ///
    /// A touch that names an organization resolves `choose-organization`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn pending_task(&self, user: &str, task: impl Into<String>) {
        self.change_user(user, |user, _, _| user.tasks.push(task.into()));
    }

    /// Deletes a user and the user's sessions.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn delete_user(&self, user: &str) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, _| state.remove_user(&id));
    }

    /// Returns the current code of the user's authenticator app; `None` without one.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    #[must_use]
    pub fn totp_code(&self, user: &str) -> Option<String> {
        self.change_user(user, |user, _, now| {
            totp::code(user.account.totp.as_ref()?, u64::try_from(now.unix()).unwrap_or_default())
        })
    }

    /// Returns the code that was last mailed to the user.
    ///
    /// Like for Clerk's [test addresses](https://clerk.com/docs/guides/development/testing/test-emails-and-phones),
    /// `424242` is valid as well.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    #[must_use]
    pub fn last_code(&self, user: &str) -> Option<String> {
        self.change_user(user, |user, _, _| user.last_code.clone())
    }
}
