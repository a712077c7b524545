//! Organizations and memberships as JSON.

use serde_json::{Value, json};

use crate::state::{Membership, Organization, User};
use crate::views::page::{IMAGE, Page};
use crate::views::user::public_user_data;

impl Page<'_> {
    pub(crate) fn membership(&self, user: &User, membership: &Membership) -> Option<Value> {
        let organization = self.state.organizations.get(&membership.organization)?;
        Some(json!({
            "object": "organization_membership",
            "id": membership.id,
            "role": membership.role,
            "role_name": role_name(&membership.role),
            "permissions": permissions(organization, &membership.role),
            "public_metadata": {},
            "public_user_data": public_user_data(user),
            "organization": self.organization(organization),
            "created_at": self.ms(membership.created),
            "updated_at": self.ms(membership.updated),
        }))
    }

    pub(crate) fn organization(&self, organization: &Organization) -> Value {
        json!({
            "object": "organization",
            "id": organization.about.id,
            "name": organization.about.name,
            "slug": organization.about.slug,
            "image_url": IMAGE,
            "has_image": false,
            "members_count": organization.members.len(),
            "pending_invitations_count": 0,
            "max_allowed_memberships": 0,
            "admin_delete_enabled": true,
            "public_metadata": organization.about.public_metadata,
            "created_at": self.ms(organization.created),
            "updated_at": self.ms(organization.updated),
        })
    }
}

/// Derives the display name of a role from its key.
pub(crate) fn role_name(key: &str) -> String {
    let mut letters = key.strip_prefix("org:").unwrap_or(key).chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Returns a role's permissions, including Clerk's own, which tokens leave out.
pub(crate) fn permissions(organization: &Organization, role: &str) -> Vec<String> {
    let system: &[&str] = match role {
        "org:admin" => &[
            "org:sys_profile:manage",
            "org:sys_profile:delete",
            "org:sys_memberships:read",
            "org:sys_memberships:manage",
            "org:sys_domains:read",
            "org:sys_domains:manage",
        ],
        "org:member" => &["org:sys_memberships:read"],
        _ => &[],
    };
    let own = organization.about.roles.iter().find(|(key, _)| key == role);
    let own = own.into_iter().flat_map(|(_, permissions)| permissions.clone());
    system.iter().map(|&permission| permission.to_owned()).chain(own).collect()
}
