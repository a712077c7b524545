//! Accounts, as an administrator changes them in Clerk's dashboard.

use crate::accounts::{FakeOrganization, FakeUser};
use crate::clock::Now;
use crate::fake::FakeClerk;
use crate::settings::FakeClerkBuilder;
use crate::state::{Membership, State, User};
use crate::{ids, totp};

/// Accounts.
///
/// Methods accept a user's id or any identifier, and an organization's id or slug. They panic if there is no such
/// user or organization, since that is a mistake in the test.
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

    /// Adds an organization and returns the id. An organization with the same id is replaced.
    ///
    /// # Panics
    ///
    /// Panics if another organization has the slug, or if the slug is invalid: it may only contain lower-case letters,
    /// digits and dashes.
    pub fn add_organization(&self, organization: FakeOrganization) -> String {
        self.change(|state, _, now| {
            let (id, slug) = (organization.id.clone(), &organization.slug);
            let is_of_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_slug = !slug.is_empty() && slug.chars().all(is_of_slug);
            assert!(is_slug, "{slug:?} is no slug: one has lower-case letters, digits and dashes only");
            let owner = state.organizations.id_of(slug);
            assert!(owner.is_none_or(|owner| owner == id), "another organization has the slug {slug:?}");
            state.organizations.add(organization, now);
            id
        })
    }

    /// Makes a user a member of an organization, or changes the role of a member.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or organization, or when the organization doesn't have the role.
    pub fn add_member(&self, user: &str, organization: &str, role: &str) {
        self.change(|state, _, now| {
            let (user, id) = found(state, user, organization);
            let Some(organization) = state.organizations.get_mut(&id) else { return };
            let (slug, roles) = (&organization.about.slug, &organization.about.roles);
            let known = || roles.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
            let has_role = roles.iter().any(|(key, _)| key == role);
            assert!(has_role, "{slug} has no role {role:?}: it has {}", known());
            let Some(user) = state.users.get_mut(&user) else { return };
            if let Some(membership) = user.memberships.iter_mut().find(|it| it.organization == id) {
                role.clone_into(&mut membership.role);
                return;
            }
            organization.members += 1;
            user.memberships.push(Membership {
                id: ids::random("orgmem"),
                organization: id,
                role: role.to_owned(),
                created: now.instant,
            });
        });
    }

    /// Ends a membership. Sessions in which the organization was active stay live without it.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or organization.
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

    /// Changes a password. As on Clerk, existing sessions stay live.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn set_password(&self, user: &str, password: impl Into<String>) {
        self.change_user(user, |user, _, now| {
            user.account.password = Some(password.into());
            user.password_set = now.instant;
        });
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
        self.change_user(user, |user, _, _| user.account.banned = false);
    }

    /// Locks a user for as long as wrong passwords would (1 h by default), or until [`unlock`](Self::unlock) if the
    /// instance has no lockout. Existing sessions stay live.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn lock(&self, user: &str) {
        self.change_user(user, |user, settings, now| user.lock(settings, now));
    }

    /// Unlocks a user and clears the failures.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn unlock(&self, user: &str) {
        self.change_user(user, |user, _, _| user.unlock());
    }

    /// Sets whether sign-ins require a code from an authenticator app. See [`totp_code`](Self::totp_code).
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn require_second_factor(&self, user: &str, required: bool) {
        self.change_user(user, |user, _, _| match required {
            true if user.account.totp.is_none() => user.account.totp = Some(totp::secret()),
            true => {}
            false => user.account.totp = None,
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

fn found(state: &State, user: &str, organization: &str) -> (String, String) {
    let user = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
    let organization =
        state.organizations.id_of(organization).unwrap_or_else(|| panic!("no organization {organization:?}"));
    (user, organization)
}
