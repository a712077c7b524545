//! Organizations, memberships and roles, as an administrator changes them in Clerk's dashboard.

use crate::accounts::FakeOrganization;
use crate::fake::FakeClerk;
use crate::state::State;
use crate::state::organizations::is_slug;

/// Organizations.
///
/// Methods accept a user's id or any identifier, and an organization's id or slug. They panic if there is no such
/// user or organization, since that is a mistake in the test.
impl FakeClerk {
    /// Adds an organization and returns the id. An organization with the same id is replaced.
    ///
    /// # Panics
    ///
    /// Panics if another organization has the slug, or if the slug is invalid: it may only contain lower-case letters,
    /// digits and dashes.
    pub fn add_organization(&self, organization: FakeOrganization) -> String {
        self.change(|state, _, now| {
            let id = organization.id.clone();
            check_slug(state, &id, &organization.slug);
            state.add_organization(organization, now);
            id
        })
    }

    /// Changes an organization's slug.
    ///
    /// # Panics
    ///
    /// Panics if there is no such organization, if another organization has the slug, or if the slug is invalid.
    pub fn set_slug(&self, organization: &str, slug: &str) {
        self.change(|state, _, now| {
            let id = organization_id(state, organization);
            check_slug(state, &id, slug);
            state.update_organization(&id, None, Some(slug), now);
        });
    }

    /// Deletes an organization with its memberships. Sessions in which it was active stay live without it.
    ///
    /// # Panics
    ///
    /// Panics if there is no such organization.
    pub fn delete_organization(&self, organization: &str) {
        self.change(|state, _, _| {
            let id = organization_id(state, organization);
            state.remove_organization(&id);
        });
    }

    /// Makes a user a member of an organization, or changes the role of a member.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or organization, or when the organization doesn't have the role.
    pub fn add_member(&self, user: &str, organization: &str, role: &str) {
        self.change(|state, _, now| {
            let (user, id) = (user_id(state, user), organization_id(state, organization));
            let Some(organization) = state.organizations.get(&id) else { return };
            let (slug, roles) = (&organization.about.slug, &organization.about.roles);
            let known = || roles.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
            assert!(organization.has_role(role), "{slug} has no role {role:?}: it has {}", known());
            state.set_member(&user, &id, role, now);
        });
    }

    /// Ends a membership. Sessions in which the organization was active stay live without it.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or organization.
    pub fn remove_member(&self, user: &str, organization: &str) {
        self.change(|state, _, _| {
            let (user, organization) = (user_id(state, user), organization_id(state, organization));
            state.remove_member(&user, &organization);
        });
    }

    /// Sets the permissions of a role, such as `org:admin`, in each organization that has it. A new role is added to
    /// all organizations, because on Clerk roles belong to the instance.
    pub fn set_role<I>(&self, role: &str, permissions: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let permissions: Vec<String> = permissions.into_iter().map(Into::into).collect();
        self.change(|state, _, _| state.set_role(role, &permissions));
    }

    /// Deletes a role.
    ///
    /// # Panics
    ///
    /// Panics if a member has the role, which Clerk refuses.
    pub fn delete_role(&self, role: &str) {
        self.change(|state, _, _| {
            assert!(!state.has_member_with(role), "a member has the role {role:?}");
            state.remove_role(role);
        });
    }

    /// Deletes a permission from all roles.
    pub fn delete_permission(&self, permission: &str) {
        self.change(|state, _, _| state.remove_permission(permission));
    }

    /// Returns the id of an organization named by id or slug, if there is one.
    #[must_use]
    pub fn organization_id(&self, organization: &str) -> Option<String> {
        self.change(|state, _, _| state.organizations.id_of(organization))
    }
}

fn check_slug(state: &State, id: &str, slug: &str) {
    assert!(is_slug(slug), "{slug:?} is no slug: one has lower-case letters, digits and dashes only");
    let owner = state.organizations.id_of(slug);
    assert!(owner.is_none_or(|owner| owner == id), "another organization has the slug {slug:?}");
}

fn user_id(state: &State, user: &str) -> String {
    state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"))
}

fn organization_id(state: &State, organization: &str) -> String {
    state.organizations.id_of(organization).unwrap_or_else(|| panic!("no organization {organization:?}"))
}
