//! The consequences of events for the engine, as a table (rule W5).
//!
//! Events come in any order and more than once. That is why each row makes the engine ask Clerk again, and none makes it
//! believe an event that would let a user in: an event that comes late, or again, costs a call at most.

use std::time::SystemTime;

use super::data::{EventData, MembershipData, UserData};
use super::event::Event;
use crate::engine::Clerk;

/// Lets the engine act on a verified event.
pub(super) fn apply(clerk: &Clerk, event: &Event) {
    use EventData::{Membership, Organization, Session, User};

    match (event.event_type(), event.data()) {
        ("user.deleted", User(user)) => clerk.revoke_user(&user.id),
        ("user.updated", User(user)) => updated_user(clerk, user, event.time()),
        _ => {}
    }
}

fn updated_user(clerk: &Clerk, user: &UserData, time: Option<SystemTime>) {
    if user.banned == Some(true) || user.deprovisioned == Some(true) {
        clerk.revoke_user(&user.id);
        return;
    }
}
