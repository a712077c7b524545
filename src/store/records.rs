//! The law of persistence: sealed records by name, which may be lost, and then cost a sign-in and never a right.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// The future of a store's answer. A write is queued when the method is called, so the future may be dropped.
pub(crate) type Wait<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The subject of a record. The number is part of the stored format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A proven credential and the session that it opened.
    Login = 1,
    /// A device that Clerk knows a user by.
    Device = 2,
    /// A session that the Backend API can mint for.
    Session = 3,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Login, Self::Device, Self::Session];

    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

macro_rules! hashed {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(super) [u8; $length]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

hashed! {
    /// The name of a record: a hash under the data key, of what the record is found by.
    Name, 32
}

hashed! {
    /// A hash under the data key that stands for a user's or a session's id.
    Tag, 16
}

#[cfg(test)]
impl Name {
    pub(crate) fn numbered(number: u8) -> Self {
        Self([number; 32])
    }
}

impl Tag {
    /// No session.
    pub(super) const NONE: Self = Self([0; 16]);
}

/// The readable part of a record. It is authenticated with the name, so it can't be changed or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) kind: Kind,
    /// Distinguishes the values that a name has had.
    pub(super) revision: u64,
    /// Of a login: when Clerk last accepted its password. Like all times, in milliseconds since the Unix epoch.
    pub(super) departed: u64,
    /// The place in the log of revocations that the record was written at. There is none without a `Cluster`.
    pub(super) position: u64,
    /// From then on the record is of no use.
    pub(super) ends: u64,
    pub(super) user: Tag,
    pub(super) session: Tag,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(super) name: Name,
    /// As the columns tell it. Opening compares it with the sealed one.
    pub(super) header: Header,
    /// The header again, and the sealed value.
    pub(super) sealed: Box<[u8]>,
}

/// When a record is written or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum If {
    /// In any case.
    Any,
    /// The record has this revision.
    Revision(u64),
    /// The record's password was accepted no later.
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "only login records are written by it"))]
    NotOlder,
}

impl If {
    /// Whether the condition holds for the record that is stored under the name.
    pub(super) fn holds(self, stored: Option<&Header>, new: Option<&Header>) -> bool {
        match (self, stored) {
            (Self::Any, _) | (Self::NotOlder, None) => true,
            (Self::Revision(_), None) => false,
            (Self::Revision(revision), Some(stored)) => stored.revision == revision,
            (Self::NotOlder, Some(stored)) => new.is_none_or(|new| stored.departed <= new.departed),
        }
    }
}

/// A record was not written: another one has taken its place, or the store is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotWritten;

/// The records that a removal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Targets {
    Name(Name, If),
    User(Tag),
    Session(Tag, Option<Kind>),
    /// The logins of a user whose password was last accepted before this time.
    LoginsBefore(Tag, u64),
    All,
}

impl Targets {
    pub(super) fn include(self, name: Name, header: &Header) -> bool {
        match self {
            Self::Name(named, condition) => named == name && condition.holds(Some(header), None),
            Self::User(user) => header.user == user,
            Self::Session(session, kind) => {
                header.session == session && kind.is_none_or(|kind| header.kind == kind)
            }
            Self::LoginsBefore(user, before) => {
                header.kind == Kind::Login && header.user == user && header.departed < before
            }
            Self::All => true,
        }
    }
}

/// Where records are stored.
///
/// No method fails: what can't be read is absent, and what can't be written is reported as such. A removal is never
/// lost as long as the process lives, and what it takes is absent from the call on.
pub(crate) trait Records: Send + Sync + 'static {
    fn get(&self, name: Name) -> Wait<Option<Row>>;

    /// The records of a user.
    fn of_user(&self, user: Tag) -> Wait<Vec<Row>>;

    fn put(&self, row: Row, condition: If) -> Wait<Result<(), NotWritten>>;

    /// Removes records, and returns them.
    fn take(&self, targets: Targets) -> Wait<Vec<Row>>;

    /// Resolves when all earlier writes are done or given up.
    fn flush(&self) -> Wait<()>;

    /// Number of removals that have not reached the store, because it refuses writes.
    fn unwritten(&self) -> usize;
}
