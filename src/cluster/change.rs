//! Changes that concern all replicas: revocations, and the lifting of refusals.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A call of a public method of one replica's engine, for the engines of the others.
///
/// Entries of a log outlive the process that wrote them, so a variant never changes its meaning. One that is unknown here
/// was written by a later version, and is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    User(Box<str>),
    Session(Box<str>),
    /// A session that Clerk has ended.
    EndedSession(Box<str>),
    SessionTokens(Box<str>),
    /// The proofs of a user from before a time by Clerk's clock.
    Proofs(Box<str>, SystemTime),
    All,
    Organization(Box<str>),
    RenamedOrganization(Box<str>, Option<Box<str>>),
    Membership(Box<str>, Box<str>),
    /// The organizations that were refused to a user.
    Organizations(Box<str>),
    LongLived,
    ApiKey(Box<str>),
    Forgive(Box<str>),
    ForgiveBan(Vec<Box<str>>),
    ForgiveLock(Box<str>, Vec<Box<str>>),
    ForgiveUnknown(Vec<Box<str>>),
    /// More changes than could be kept: everything is revoked, and no refusal is remembered.
    #[cfg(feature = "redis")]
    Everything,
}
