//! The kinds of objects, and what is mirrored of each.

use std::fmt;
use std::str::FromStr;

/// A kind of object that the mirror holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A user (`user_…`), in the view `clerk_users`.
    User,
    /// An organization (`org_…`), in the view `clerk_organizations`.
    Organization,
    /// A user's membership in an organization (`orgmem_…`), in the view `clerk_memberships`.
    Membership,
}

/// The type of a mirrored column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Integer,
    Flag,
    Json,
}

/// A mirrored column: its name and its type.
pub(crate) type Column = (&'static str, Type);

// `locked`, `last_sign_in_at` and `last_active_at` are left out: they change without an event, so that a mirror of them is
// wrong most of the time. `unsafe_metadata` is what the user's browser says.
const USER: &[Column] = &[
    ("external_id", Type::Text),
    ("username", Type::Text),
    ("first_name", Type::Text),
    ("last_name", Type::Text),
    ("email", Type::Text),
    ("email_verified", Type::Flag),
    ("phone", Type::Text),
    ("phone_verified", Type::Flag),
    ("image_url", Type::Text),
    ("banned", Type::Flag),
    ("deprovisioned", Type::Flag),
    ("public_metadata", Type::Json),
    ("created_at", Type::Integer),
];

// Counts of members change without an event of the organization.
const ORGANIZATION: &[Column] = &[
    ("name", Type::Text),
    ("slug", Type::Text),
    ("image_url", Type::Text),
    ("created_by", Type::Text),
    ("public_metadata", Type::Json),
    ("created_at", Type::Integer),
];

// Permissions belong to the role, and change with it, without an event of the membership.
const MEMBERSHIP: &[Column] = &[
    ("user_id", Type::Text),
    ("organization_id", Type::Text),
    ("role", Type::Text),
    ("public_metadata", Type::Json),
    ("created_at", Type::Integer),
];

impl Kind {
    /// All kinds, parents first.
    pub const ALL: [Self; 3] = [Self::User, Self::Organization, Self::Membership];

    /// `user`, `organization` or `membership`: the name in tables, reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Organization => "organization",
            Self::Membership => "membership",
        }
    }

    /// The table with the rows, tombstones included.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::User => "clerk_mirror_users",
            Self::Organization => "clerk_mirror_organizations",
            Self::Membership => "clerk_mirror_memberships",
        }
    }

    /// The view of the live objects.
    pub(crate) const fn view(self) -> &'static str {
        match self {
            Self::User => "clerk_users",
            Self::Organization => "clerk_organizations",
            Self::Membership => "clerk_memberships",
        }
    }

    /// The mirrored columns, over which the content hash goes.
    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::User => USER,
            Self::Organization => ORGANIZATION,
            Self::Membership => MEMBERSHIP,
        }
    }

    /// The mirrored columns that a tombstone keeps: see the migration.
    pub(crate) const fn columns_of_tombstone(self) -> &'static [&'static str] {
        match self {
            Self::User | Self::Organization => &[],
            Self::Membership => &["user_id", "organization_id", "created_at"],
        }
    }

    /// The kind of the object that events of this type are about, if it is mirrored.
    pub(crate) fn of_event(event_type: &str) -> Option<Self> {
        match event_type.split_once('.')?.0 {
            "user" => Some(Self::User),
            "organization" => Some(Self::Organization),
            "organizationMembership" => Some(Self::Membership),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not the [name](Kind::name) of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownKind;

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no kind of object: use `user`, `organization` or `membership`")
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownKind)
    }
}
