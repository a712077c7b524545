//! Webhook events in the format of
//! [Clerk's description](https://github.com/clerk/openapi-specs/blob/main/webhooks/2025-04-15.yml).

use serde_json::{Value, json};

use crate::ids;
use crate::state::{Change, Session, SessionStatus};
use crate::views::organization::{permissions, role_name};
use crate::views::page::Page;

impl Page<'_> {
    /// Returns the type and the data of the event that tells a change; `None` if Clerk has no event for it, or if the
    /// object is gone by now.
    pub(crate) fn event(&self, change: &Change) -> Option<(&'static str, Value)> {
        let state = self.state;
        let user = |id: &str| Some(self.backend_user(state.users.get(id)?));
        let organization = |id: &str| Some(self.backend_organization(state.organizations.get(id)?));
        let membership = |id: &str, organization: &str| {
            self.backend_membership(state.users.get(id)?, state.membership(id, organization)?)
        };
        Some(match change {
            Change::UserCreated(id) => ("user.created", user(id)?),
            Change::UserUpdated(id) => ("user.updated", user(id)?),
            Change::UserDeleted(id) => ("user.deleted", deleted("user", id)),
            Change::Session(id, status) => {
                (session_event(*status)?, self.event_session(state.sessions.get(id)?, *status)?)
            }
            Change::OrganizationCreated(id) => ("organization.created", organization(id)?),
            Change::OrganizationUpdated(id) => ("organization.updated", organization(id)?),
            Change::OrganizationDeleted { id, slug } => {
                let mut data = deleted("organization", id);
                data["slug"] = json!(slug);
                ("organization.deleted", data)
            }
            Change::MembershipCreated { user, organization } => {
                ("organizationMembership.created", membership(user, organization)?)
            }
            Change::MembershipUpdated { user, organization } => {
                ("organizationMembership.updated", membership(user, organization)?)
            }
            Change::MembershipDeleted { user, membership } => (
                "organizationMembership.deleted",
                self.backend_membership(state.users.get(user)?, membership)?,
            ),
            Change::RoleCreated(key) => ("role.created", self.role(key)?),
            Change::RoleUpdated(key) => ("role.updated", self.role(key)?),
            Change::RoleDeleted(key) => ("role.deleted", deleted("role", &ids::derived("role", key))),
            Change::PermissionCreated(key) => ("permission.created", self.permission(key, self.now.ms)),
            Change::PermissionDeleted(key) => {
                ("permission.deleted", deleted("permission", &ids::derived("perm", key)))
            }
        })
    }

    /// Renders a session with its user. Its tasks aren't in Clerk's schema of the event.
    fn event_session(&self, session: &Session, status: SessionStatus) -> Option<Value> {
        let mut data = self.backend_session(session);
        if let Value::Object(data) = &mut data {
            data.remove("tasks");
        }
        data["status"] = json!(status.as_str());
        data["user"] = self.backend_user(self.state.users.get(&session.user)?);
        Some(data)
    }

    /// Renders a role. On Clerk, roles belong to the instance, so the first organization that has it stands for all.
    fn role(&self, key: &str) -> Option<Value> {
        let organization = self.state.organizations.all().find(|organization| organization.has_role(key))?;
        let created = self.now.ms_at(organization.created);
        let permissions: Vec<Value> =
            permissions(organization, key).iter().map(|key| self.permission(key, created)).collect();
        Some(json!({
            "object": "role",
            "id": ids::derived("role", key),
            "name": role_name(key),
            "key": key,
            "description": null,
            "is_creator_eligible": key == "org:admin",
            "permissions": permissions,
            "created_at": created,
            "updated_at": self.now.ms,
        }))
    }

    fn permission(&self, key: &str, created: i64) -> Value {
        json!({
            "object": "permission",
            "id": ids::derived("perm", key),
            "name": role_name(key),
            "key": key,
            "description": "",
            "type": if key.starts_with("org:sys_") { "system" } else { "custom" },
            "created_at": created,
            "updated_at": created,
        })
    }
}

/// Renders the object that stands for a deleted one, in events and in responses.
pub(crate) fn deleted(object: &str, id: &str) -> Value {
    json!({ "object": object, "id": id, "deleted": true })
}

/// Returns the type of the event for a session that got a status. Clerk has none for an expired session.
fn session_event(status: SessionStatus) -> Option<&'static str> {
    Some(match status {
        SessionStatus::Active => "session.created",
        SessionStatus::Pending => "session.pending",
        SessionStatus::Ended => "session.ended",
        SessionStatus::Removed => "session.removed",
        SessionStatus::Revoked => "session.revoked",
        SessionStatus::Expired => return None,
    })
}
