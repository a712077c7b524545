//! Changes of organizations, memberships and roles.

use std::collections::BTreeSet;

use crate::accounts::FakeOrganization;
use crate::clock::Now;
use crate::ids;
use crate::state::{Change, Membership, State};

impl State {
    pub(crate) fn membership(&self, user: &str, organization: &str) -> Option<&Membership> {
        let memberships = &self.users.get(user)?.memberships;
        memberships.iter().find(|membership| membership.organization == organization)
    }

    /// Adds an organization, or replaces the one with the same id.
    pub(crate) fn add_organization(&mut self, about: FakeOrganization, now: Now) {
        let id = about.id.clone();
        let replaces = self.organizations.add(about, now);
        self.changes.push(match replaces {
            true => Change::OrganizationUpdated(id),
            false => Change::OrganizationCreated(id),
        });
    }

    /// Changes the name or the slug of an organization.
    pub(crate) fn update_organization(&mut self, id: &str, name: Option<&str>, slug: Option<&str>, now: Now) {
        if let Some(slug) = slug {
            self.organizations.set_slug(id, slug.to_owned());
        }
        let Some(organization) = self.organizations.get_mut(id) else { return };
        if let Some(name) = name {
            name.clone_into(&mut organization.about.name);
        }
        organization.updated = now.instant;
        self.changes.push(Change::OrganizationUpdated(id.to_owned()));
    }

    /// Removes an organization with its memberships. Sessions in which it was active stay live without it.
    pub(crate) fn remove_organization(&mut self, id: &str) {
        let Some(organization) = self.organizations.remove(id) else { return };
        for user in organization.members.values() {
            self.leave(user, id);
        }
        self.changes.push(Change::OrganizationDeleted { id: id.to_owned(), slug: organization.about.slug });
    }

    /// Makes a user a member, or changes the role of a member.
    pub(crate) fn set_member(&mut self, user: &str, organization: &str, role: &str, now: Now) {
        let (Some(account), Some(about)) =
            (self.users.get_mut(user), self.organizations.get_mut(organization))
        else {
            return;
        };
        let (user, organization) = (user.to_owned(), organization.to_owned());
        if let Some(membership) = account.memberships.iter_mut().find(|it| it.organization == organization) {
            role.clone_into(&mut membership.role);
            membership.updated = now.instant;
            self.changes.push(Change::MembershipUpdated { user, organization });
            return;
        }
        let number = self.memberships.add(&user, &organization);
        about.members.insert(number, user.clone());
        account.memberships.push(Membership {
            number,
            id: ids::random("orgmem"),
            organization: organization.clone(),
            role: role.to_owned(),
            created: now.instant,
            updated: now.instant,
        });
        self.changes.push(Change::MembershipCreated { user, organization });
    }

    /// Ends a membership, and returns it. Sessions in which the organization was active stay live without it.
    pub(crate) fn remove_member(&mut self, user: &str, organization: &str) -> Option<Membership> {
        let membership = self.leave(user, organization)?;
        if let Some(organization) = self.organizations.get_mut(organization) {
            organization.members.remove(&membership.number);
        }
        self.changes
            .push(Change::MembershipDeleted { user: user.to_owned(), membership: membership.clone() });
        Some(membership)
    }

    fn leave(&mut self, user: &str, organization: &str) -> Option<Membership> {
        let account = self.users.get_mut(user)?;
        let at = account.memberships.iter().position(|it| it.organization == organization)?;
        let membership = account.memberships.remove(at);
        self.memberships.remove(membership.number);
        self.sessions.change_of_user(user, |session| {
            session.organization.take_if(|active| *active == organization);
        });
        Some(membership)
    }

    /// Sets the permissions of a role in each organization that has it, and adds it to all if none has it.
    pub(crate) fn set_role(&mut self, role: &str, permissions: &[String]) {
        let known: BTreeSet<String> = self.permissions().map(str::to_owned).collect();
        let is_new = !self.organizations.all().any(|organization| organization.has_role(role));
        for organization in self.organizations.all_mut() {
            let roles = &mut organization.about.roles;
            match roles.iter_mut().find(|(key, _)| key == role) {
                Some((_, own)) => *own = permissions.to_vec(),
                None if is_new => roles.push((role.to_owned(), permissions.to_vec())),
                None => {}
            }
        }
        let added = permissions.iter().filter(|key| !known.contains(*key));
        self.changes.extend(added.cloned().map(Change::PermissionCreated));
        let role = role.to_owned();
        self.changes.push(if is_new { Change::RoleCreated(role) } else { Change::RoleUpdated(role) });
    }

    pub(crate) fn has_member_with(&self, role: &str) -> bool {
        self.organizations.all().any(|organization| {
            let id = &organization.about.id;
            let mut members = organization.members.values().filter_map(|user| self.membership(user, id));
            members.any(|membership| membership.role == role)
        })
    }

    /// Removes a role that no member has.
    pub(crate) fn remove_role(&mut self, role: &str) {
        for organization in self.organizations.all_mut() {
            organization.about.roles.retain(|(key, _)| key != role);
        }
        self.changes.push(Change::RoleDeleted(role.to_owned()));
    }

    /// Removes a permission from all roles.
    pub(crate) fn remove_permission(&mut self, permission: &str) {
        for organization in self.organizations.all_mut() {
            for (_, permissions) in &mut organization.about.roles {
                permissions.retain(|key| key != permission);
            }
        }
        self.changes.push(Change::PermissionDeleted(permission.to_owned()));
    }

    /// Returns the keys of the permissions that roles have.
    pub(crate) fn permissions(&self) -> impl Iterator<Item = &str> {
        let roles = self.organizations.all().flat_map(|organization| &organization.about.roles);
        roles.flat_map(|(_, permissions)| permissions).map(String::as_str)
    }
}
