//! Users, sessions, sign-in tokens and API keys in the Backend API's format.

use std::time::Duration;

use serde_json::{Value, json};

use crate::state::{ApiKey, Membership, Organization, Session, Ticket, User};
use crate::views::page::Page;

impl Page<'_> {
    /// Renders a user for an administrator: with private metadata, and without memberships, which have their own
    /// endpoint.
    pub(crate) fn backend_user(&self, user: &User) -> Value {
        let mut shown = self.user(user);
        if let Value::Object(shown) = &mut shown {
            shown.remove("organization_memberships");
        }
        shown["private_metadata"] = Value::Object(user.account.private_metadata.clone());
        shown["deprovisioned"] = json!(user.account.deprovisioned);
        shown
    }

    pub(crate) fn backend_membership(&self, user: &User, membership: &Membership) -> Option<Value> {
        let mut shown = self.membership(user, membership)?;
        shown["private_metadata"] = json!({});
        let organization = self.state.organizations.get(&membership.organization)?;
        shown["organization"]["private_metadata"] =
            Value::Object(organization.about.private_metadata.clone());
        Some(shown)
    }

    pub(crate) fn backend_organization(&self, organization: &Organization) -> Value {
        let mut shown = self.organization(organization);
        shown["private_metadata"] = Value::Object(organization.about.private_metadata.clone());
        shown
    }

    /// Renders an organization of a list, with the number of its members only if that is asked for.
    pub(crate) fn listed_organization(&self, organization: &Organization, shows_count: bool) -> Value {
        let mut shown = self.backend_organization(organization);
        if let (Value::Object(shown), false) = (&mut shown, shows_count) {
            shown.remove("members_count");
        }
        shown
    }

    /// Renders a session without its token, which only the session's owner may see.
    pub(crate) fn backend_session(&self, session: &Session) -> Value {
        let tasks: Vec<Value> = session.tasks.iter().map(|key| json!({ "key": key })).collect();
        json!({
            "object": "session",
            "id": session.id,
            "user_id": session.user,
            "client_id": session.client,
            "actor": null,
            "status": session.status(self.now.instant).as_str(),
            "last_active_organization_id": session.organization,
            "last_active_at": self.ms(session.last_active),
            "expire_at": self.ms(session.expires),
            "abandon_at": self.ms(session.expires + Duration::from_secs(23 * 24 * 3600)),
            "created_at": self.ms(session.created),
            "updated_at": self.ms(session.updated),
            "tasks": if tasks.is_empty() { Value::Null } else { Value::Array(tasks) },
        })
    }

    /// Renders a sign-in token without the ticket, which only the creating response contains.
    pub(crate) fn sign_in_token(&self, ticket: &Ticket) -> Value {
        json!({
            "object": "sign_in_token",
            "id": ticket.id,
            "status": ticket.status.as_str(),
            "user_id": ticket.user,
            "created_at": self.ms(ticket.created),
            "updated_at": self.ms(ticket.updated),
        })
    }

    /// Renders an API key without its secret, which only the creating response contains.
    pub(crate) fn api_key(&self, key: &ApiKey) -> Value {
        let unit = if self.settings.api_key_seconds { 1000 } else { 1 };
        json!({
            "object": "api_key",
            "id": key.about.id,
            "type": key.about.kind,
            "subject": key.about.subject,
            "name": key.about.name,
            "description": key.description,
            "claims": key.about.claims,
            "scopes": key.about.scopes,
            "revoked": key.revoked.is_some(),
            "revocation_reason": key.revoked.as_ref().and_then(Option::as_deref),
            "expired": key.is_expired(self.now),
            "expiration": key.expiration.map(|ms| ms / unit),
            "created_by": key.about.created_by,
            "last_used_at": key.last_used,
            "created_at": key.created,
            "updated_at": key.updated,
        })
    }
}
