//! The object that an event is about (rule W3).

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;

use super::wire::{self, Scalar};

/// The object that an event is about, as far as the engine reads it, under Clerk's names.
///
/// A field that Clerk leaves out or sends as another type than it describes is `None`. For other fields, read
/// [`Event::data_as`](super::Event::data_as).
#[derive(Clone, Debug)]
#[non_exhaustive]
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

/// A user. Of `user.deleted`, only the id is set.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserData {
    /// The id (`user_…`).
    pub id: String,
    /// The user name, if there is one.
    pub username: Option<String>,
    /// The email addresses, in Clerk's order, which says nothing about the primary one.
    pub email_addresses: Vec<VerifiableIdentifier>,
    /// The phone numbers.
    pub phone_numbers: Vec<VerifiableIdentifier>,
    /// Whether the user is banned.
    pub banned: Option<bool>,
    /// Whether the user is locked after too many failed attempts.
    pub locked: Option<bool>,
    /// Whether a directory has taken the user's access away.
    pub deprovisioned: Option<bool>,
    /// Whether the user has a password.
    pub password_enabled: Option<bool>,
    /// When the password was last changed.
    pub password_last_updated_at: Option<SystemTime>,
    /// When a second factor was last enabled. It stays when the factor is disabled.
    pub mfa_enabled_at: Option<SystemTime>,
    /// When the user was last changed.
    pub updated_at: Option<SystemTime>,
}

/// An email address or a phone number of a user.
#[derive(Clone)]
#[non_exhaustive]
pub struct VerifiableIdentifier {
    /// The address or the number.
    pub identifier: String,
    /// Whether Clerk has verified that it is the user's.
    pub is_verified: bool,
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

/// An organization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OrganizationData {
    /// The id (`org_…`).
    pub id: String,
    /// The slug, if there is one.
    pub slug: Option<String>,
    /// When the organization was last changed.
    pub updated_at: Option<SystemTime>,
}

/// A user's membership in an organization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MembershipData {
    /// The id (`orgmem_…`). A user who is removed and added again has another one.
    pub id: String,
    /// The id of the user.
    pub user_id: Option<String>,
    /// The organization.
    pub organization: OrganizationData,
    /// The role, such as `org:admin`.
    pub role: Option<String>,
    /// When the membership was last changed.
    pub updated_at: Option<SystemTime>,
}

impl EventData {
    /// Reads the object, by the type of its event.
    pub(super) fn read(event_type: &str, json: &str) -> Self {
        Self::try_read(event_type, json).unwrap_or(Self::Unknown)
    }

    /// An object without its id is an error.
    fn try_read(event_type: &str, json: &str) -> Result<Self, serde_json::Error> {
        fn data<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
            serde_json::from_str::<wire::WithData<T>>(json).map(|event| event.data)
        }
        Ok(match event_type.split_once('.').map_or("", |(object, _)| object) {
            "user" => Self::User(UserData::new(data(json)?, data(json).unwrap_or_default())),
            "session" => Self::Session(data::<wire::Session>(json)?.into()),
            "organization" => Self::Organization(data::<wire::Organization>(json)?.into()),
            "organizationMembership" => Self::Membership(data::<wire::Membership>(json)?.into()),
            _ => Self::Unknown,
        })
    }
}

impl UserData {
    fn new(user: wire::User, identifiers: wire::Identifiers) -> Self {
        let verifiable = |identifier: Scalar, verification: Option<wire::Verification>| {
            let is_verified = verification.is_some_and(|it| it.is_verified());
            identifier.text().map(|identifier| VerifiableIdentifier { identifier, is_verified })
        };
        let emails = identifiers.email_addresses.into_iter();
        let phones = identifiers.phone_numbers.into_iter();
        Self {
            id: user.id,
            username: identifiers.username.text(),
            email_addresses: emails.filter_map(|it| verifiable(it.email_address, it.verification)).collect(),
            phone_numbers: phones.filter_map(|it| verifiable(it.phone_number, it.verification)).collect(),
            banned: user.banned.flag(),
            locked: user.locked.flag(),
            deprovisioned: user.deprovisioned.flag(),
            password_enabled: user.password_enabled.flag(),
            password_last_updated_at: user.password_last_updated_at.time(),
            mfa_enabled_at: user.mfa_enabled_at.time(),
            updated_at: user.updated_at.time(),
        }
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

impl From<wire::Organization> for OrganizationData {
    fn from(organization: wire::Organization) -> Self {
        Self {
            id: organization.id,
            slug: organization.slug.text(),
            updated_at: organization.updated_at.time(),
        }
    }
}

impl From<wire::Membership> for MembershipData {
    fn from(membership: wire::Membership) -> Self {
        Self {
            id: membership.id,
            user_id: membership.public_user_data.and_then(|user| user.user_id.text()),
            organization: membership.organization.into(),
            role: membership.role.text(),
            updated_at: membership.updated_at.time(),
        }
    }
}

// Without the identifiers, which are personal data.
impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiableIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiableIdentifier").field("is_verified", &self.is_verified).finish_non_exhaustive()
    }
}
