//! The object that an event is about (rule W3).

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::wire;
use crate::objects::{MembershipData, OrganizationData, UserData};

/// The object that an event is about, under Clerk's names.
///
/// A field that Clerk leaves out or sends as another type than it describes is `None`. For other fields, read
/// [`Event::data_as`](super::Event::data_as).
#[derive(Clone, Debug)]
#[non_exhaustive]
// An event has one of these, behind an `Arc`.
#[allow(clippy::large_enum_variant)]
pub enum EventData {
    /// `user.created`, `user.updated`, `user.deleted`.
    User(UserData),
    /// `session.created`, `session.pending`, `session.ended`, `session.removed`, `session.revoked`.
    Session(SessionData),
    /// `organization.created`, `organization.updated`, `organization.deleted`.
    Organization(OrganizationData),
    /// `organizationMembership.created`, `organizationMembership.updated`, `organizationMembership.deleted`.
    Membership(MembershipData),
    /// Another type of event, or an object without its id.
    Unknown,
}

/// A session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionData {
    /// The id (`sess_…`).
    pub id: String,
    /// The id of its user.
    pub user_id: Option<String>,
    /// `active`, `pending`, `ended`, `removed`, `revoked`, `expired`, `abandoned` or `replaced`.
    pub status: Option<String>,
    /// When the session was last changed.
    pub updated_at: Option<SystemTime>,
}

impl EventData {
    /// Reads the object, by the type of its event.
    pub(super) fn read(event_type: &str, json: &str) -> Self {
        Self::try_read(event_type, json).unwrap_or(Self::Unknown)
    }

    /// An object without its id is an error.
    fn try_read(event_type: &str, json: &str) -> Result<Self, serde_json::Error> {
        let data = serde_json::from_str::<wire::WithData<&RawValue>>(json)?.data.get();
        Ok(match event_type.split_once('.').map_or("", |(object, _)| object) {
            "user" => Self::User(UserData::read_of_event(data)?),
            "session" => Self::Session(serde_json::from_str::<wire::Session>(data)?.into()),
            "organization" => Self::Organization(OrganizationData::read(data)?),
            "organizationMembership" => Self::Membership(MembershipData::read(data)?),
            _ => Self::Unknown,
        })
    }
}

impl From<wire::Session> for SessionData {
    fn from(session: wire::Session) -> Self {
        Self {
            id: session.id,
            user_id: session.user_id.text(),
            status: session.status.text(),
            updated_at: session.updated_at.time(),
        }
    }
}
