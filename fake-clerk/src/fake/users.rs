//! Accounts, as an administrator changes them in Clerk's dashboard.

use crate::accounts::{FakeOrganization, FakeUser};
use crate::clock::Now;
use crate::fake::FakeClerk;
use crate::settings::FakeClerkBuilder;
use crate::state::{Membership, State, User};
use crate::{ids, totp};

/// Accounts. Users are named by id or by any identifier, organizations by id or slug.
///
/// # Panics
///
/// These methods panic when there is no such user or organization: that is a mistake in the test.
impl FakeClerk {
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

    /// Adds a user and returns the id.
    pub fn add_user(&self, user: FakeUser) -> String {
        self.change(|state, _, now| {
            let taken = state.users.taken_identifier(&user);
            assert!(taken.is_none(), "another user has the identifier {}", taken.unwrap_or_default());
            state.add_user(user, now)
        })
    }

    /// Adds an organization and returns the id.
    pub fn add_organization(&self, organization: FakeOrganization) -> String {
        self.change(|state, _, now| {
            let id = organization.id.clone();
            state.organizations.add(organization, now);
            id
        })
    }

    /// Makes a user a member of an organization, or gives a member another role.
    pub fn add_member(&self, user: &str, organization: &str, role: &str) {
        self.remove_member(user, organization);
        self.change(|state, _, now| {
            let (user, organization) = found(state, user, organization);
            if let Some(user) = state.users.get_mut(&user) {
                user.memberships.push(Membership {
                    id: ids::random("orgmem"),
                    organization: organization.clone(),
                    role: role.to_owned(),
                    created: now.instant,
                });
            }
            if let Some(organization) = state.organizations.get_mut(&organization) {
                organization.members += 1;
            }
        });
    }

    /// Ends a membership. Sessions that had the organization active go on without it.
    pub fn remove_member(&self, user: &str, organization: &str) {
        self.change(|state, _, _| {
            let (user, organization) = found(state, user, organization);
            if state.membership(&user, &organization).is_none() {
                return;
            }
            if let Some(user) = state.users.get_mut(&user) {
                user.memberships.retain(|membership| membership.organization != organization);
            }
            if let Some(organization) = state.organizations.get_mut(&organization) {
                organization.members -= 1;
            }
            state.sessions.change_of_user(&user, |session| {
                session.organization.take_if(|active| *active == organization);
            });
        });
    }

    /// Changes a password. As on Clerk, sessions that are there go on.
    pub fn set_password(&self, user: &str, password: impl Into<String>) {
        self.change_user(user, |user, _, now| {
            user.account.password = Some(password.into());
            user.password_set = now.instant;
        });
    }

    /// Bans a user, which revokes all sessions.
    pub fn ban(&self, user: &str) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, now| state.ban(&id, now));
    }

    /// Lifts a ban. Sessions that it revoked stay so.
    pub fn unban(&self, user: &str) {
        self.change_user(user, |user, _, _| user.account.banned = false);
    }

    /// Locks a user for as long as wrong passwords would, or without an end if the instance has no lock-out. Sessions
    /// go on.
    pub fn lock(&self, user: &str) {
        self.change_user(user, |user, settings, now| user.lock(settings, now));
    }

    /// Takes a lock off, and forgets the failures.
    pub fn unlock(&self, user: &str) {
        self.change_user(user, |user, _, _| user.unlock());
    }

    /// Makes sign-ins demand a code from an authenticator app, or not; see [`totp_code`](Self::totp_code).
    pub fn require_second_factor(&self, user: &str, required: bool) {
        self.change_user(user, |user, _, _| match required {
            true if user.account.totp.is_none() => user.account.totp = Some(totp::secret()),
            true => {}
            false => user.account.totp = None,
        });
    }

    /// Makes the next sign-in end in `needs_new_password`, or not.
    pub fn require_new_password(&self, user: &str, required: bool) {
        self.change_user(user, |user, _, _| user.account.new_password = required);
    }

    /// Lets sessions of this user begin `pending`, with a task: `choose-organization`, `setup-mfa`,
    /// `reset-password`. A touch that names an organization resolves the first of these.
    pub fn pending_task(&self, user: &str, task: impl Into<String>) {
        self.change_user(user, |user, _, _| user.tasks.push(task.into()));
    }

    /// Deletes a user with all sessions.
    pub fn delete_user(&self, user: &str) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, _| state.remove_user(&id));
    }

    /// The code of the user's authenticator app at this moment; `None` without one.
    #[must_use]
    pub fn totp_code(&self, user: &str) -> Option<String> {
        self.change_user(user, |user, _, now| {
            totp::code(user.account.totp.as_ref()?, u64::try_from(now.unix()).unwrap_or_default())
        })
    }

    /// The code that was mailed to the user last. `424242` does as well, as for Clerk's test addresses.
    #[must_use]
    pub fn last_code(&self, user: &str) -> Option<String> {
        self.change_user(user, |user, _, _| user.last_code.clone())
    }
}

fn found(state: &State, user: &str, organization: &str) -> (String, String) {
    let user = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
    let organization =
        state.organizations.id_of(organization).unwrap_or_else(|| panic!("no organization {organization:?}"));
    (user, organization)
}
