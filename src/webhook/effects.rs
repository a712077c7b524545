//! The consequences of events for the engine, as a table (rule W5).
//!
//! Events come in any order and more than once. That is why each row makes the engine ask Clerk again, and none makes it
//! believe an event that would let a user in: an event that comes late, or again, costs a call at most.

use std::time::SystemTime;

use super::data::EventData;
use super::event::Event;
use crate::engine::Clerk;
use crate::key::is_like_a_phone_number;
use crate::objects::{MembershipData, UserData};

/// Lets the engine act on a verified event. Returns false for one that it never acts on.
pub(super) fn apply(clerk: &Clerk, event: &Event) -> bool {
    use EventData::{Membership, Organization, Session, User};

    match (event.event_type(), event.data()) {
        ("user.created", User(user)) => clerk.forgive_unknown_user(own_identifiers(user)),
        ("user.updated", User(user)) => updated(clerk, user, event.time()),
        ("user.deleted", User(user)) => clerk.revoke_user(&user.id),

        ("session.pending", Session(session)) => clerk.drop_session_tokens(&session.id),
        ("session.ended" | "session.removed" | "session.revoked", Session(session)) => {
            clerk.drop_session(&session.id);
        }

        ("organization.updated", Organization(it)) => {
            clerk.revoke_renamed_organization(&it.id, it.slug.as_deref());
        }
        ("organization.deleted", Organization(it)) => clerk.revoke_organization(&it.id),

        ("organizationMembership.created", Membership(MembershipData { user_id: Some(user), .. })) => {
            clerk.forgive_organizations(user);
        }
        ("organizationMembership.updated" | "organizationMembership.deleted", Membership(it)) => {
            match &it.user_id {
                Some(user) => clerk.revoke_membership(user, &it.organization.id),
                // Clerk's description doesn't promise the user. All members' tokens are more than the one that is meant.
                None => clerk.revoke_organization(&it.organization.id),
            }
        }

        ("role.updated" | "role.deleted" | "permission.updated" | "permission.deleted", _) => {
            clerk.drop_long_lived_tokens();
        }

        // Of these, something was to be done, and the object can't be read.
        (
            "user.updated"
            | "user.deleted"
            | "session.pending"
            | "session.ended"
            | "session.removed"
            | "session.revoked"
            | "organization.updated"
            | "organization.deleted"
            | "organizationMembership.updated"
            | "organizationMembership.deleted",
            EventData::Unknown,
        ) => unreadable(clerk, event),
        _ => return false,
    }
    true
}

/// A changed user. Most changes concern no session, and a sign-in itself may be one of them.
fn updated(clerk: &Clerk, user: &UserData, time: Option<SystemTime>) {
    if user.banned == Some(true) || user.deprovisioned == Some(true) {
        return clerk.revoke_user(&user.id);
    }
    // A user who is locked stays: otherwise an attacker could lock a proven user out (rule K5).
    let without_password =
        (user.password_enabled == Some(false)).then(|| user.updated_at.max(time)).flatten();
    let proven_before = [user.password_last_updated_at, user.mfa_enabled_at, without_password];
    if let Some(before) = proven_before.into_iter().flatten().max() {
        clerk.expire_proofs(&user.id, before);
    }
    if user.banned == Some(false) {
        // The id is for the API keys.
        clerk.forgive_ban(std::iter::once(&*user.id).chain(own_identifiers(user)));
    }
    if user.locked == Some(false) {
        clerk.forgive_lock(&user.id, own_identifiers(user));
    }
}

/// The identifiers that are certainly this user's. An address that isn't verified may be another person's, and so may the
/// number or the address that a user has chosen for a name.
fn own_identifiers(user: &UserData) -> impl Iterator<Item = &str> {
    let verifiable = user.email_addresses.iter().chain(&user.phone_numbers);
    let verified = verifiable.filter(|it| it.is_verified).map(|it| &*it.identifier);
    let name = user.username.as_deref().filter(|name| !name.contains('@') && !is_like_a_phone_number(name));
    name.into_iter().chain(verified)
}

fn unreadable(clerk: &Clerk, event: &Event) {
    let (id, event_type) = (event.id(), event.event_type());
    if clerk.is_warning_due("webhook_unreadable") {
        tracing::warn!(
            target: "tower_clerk::webhook",
            id, event_type,
            "an event of Clerk's has no readable object, so the engine did nothing: what has changed takes effect when \
             sessions and tokens expire"
        );
    }
}
