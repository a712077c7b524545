//! Changes of a user's description, and many users at once.

use std::time::Duration;

use crate::accounts::FakeUser;
use crate::clock::Now;
use crate::fake::FakeClerk;
use crate::ids;
use crate::state::State;

/// Descriptions of users, and many users at once.
impl FakeClerk {
    /// Changes the description of a user: names, addresses, metadata and so on. The id stays.
    ///
    /// ```
    /// use fake_clerk::FakeClerk;
    ///
    /// let clerk = FakeClerk::new();
    /// clerk.edit_user("jane", |jane| jane.name("Jane", "Doe").external_id("42"));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn edit_user(&self, user: &str, edit: impl FnOnce(FakeUser) -> FakeUser) {
        self.change(|state, _, now| {
            let id = edited(state, user, edit);
            state.update_user(&id, now, |_| {});
        });
    }

    /// Changes the description of a user as [`edit_user`](Self::edit_user) does, but `updated_at` stays, and no webhook tells
    /// of it.
    ///
    /// Clerk doesn't promise that each change moves `updated_at`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn edit_user_silently(&self, user: &str, edit: impl FnOnce(FakeUser) -> FakeUser) {
        self.change(|state, _, _| drop(edited(state, user, edit)));
    }

    /// Adds this many users, each with a name and a verified e-mail address, without a password and without webhooks. As far
    /// as the clock goes back, they were created a millisecond apart, the last one now.
    ///
    /// A million of them take less than two gigabytes.
    pub fn seed_users(&self, count: usize) {
        self.change(|state, _, now| {
            for user in 0..count {
                seed(state, now, count - 1 - user);
            }
        });
    }
}

fn edited(state: &mut State, user: &str, edit: impl FnOnce(FakeUser) -> FakeUser) -> String {
    let id = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
    state.users.change_identifiers(&id, |user| {
        let edited = edit(user.account.clone());
        user.email_ids.resize_with(edited.emails.len(), || ids::random("idn"));
        user.account = edited.id(&id);
    });
    id
}

/// Adds the user that was created this many milliseconds ago.
fn seed(state: &mut State, now: Now, ago: usize) {
    let number = state.users.added() + 1;
    let about = FakeUser::new(format!("user{number}@example.com")).name("User", number.to_string());
    let ago = Duration::from_millis(u64::try_from(ago).unwrap_or(u64::MAX));
    let created = now.instant.checked_sub(ago).unwrap_or(now.instant);
    // No user is older than one that was there before.
    let created = created.max(state.users.last_created().unwrap_or(created));
    state.users.add(about, Now { instant: created, ..now });
}
