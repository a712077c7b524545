//! Why a reconciliation gives up.

use std::fmt;

use tower_clerk::backend::BackendError;

use crate::error::MirrorError;
use crate::kind::Kind;

/// A reason to give up before anything is deleted.
#[derive(Debug)]
pub(super) enum Abort {
    /// Clerk didn't answer a call, or refused it.
    Clerk(BackendError),
    /// The mirror is one of another instance.
    OtherInstance { mirror: String, clerk: String },
    /// Clerk's list had no entry.
    Empty { kind: Kind, rows: u64 },
    /// Clerk's list had fewer entries than Clerk counts, twice.
    Short { kind: Kind, seen: u64, count: u64 },
    /// More rows would be deleted than is plausible.
    TooMany { kind: Kind, rows: u64, most: u64 },
    /// The answer to a confirmation can't be right.
    Void { kind: Kind, reason: &'static str },
}

/// The end of a run before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Abort(Abort),
    Mirror(MirrorError),
}

impl From<Abort> for Stop {
    fn from(abort: Abort) -> Self {
        Self::Abort(abort)
    }
}

impl From<BackendError> for Stop {
    fn from(error: BackendError) -> Self {
        Self::Abort(Abort::Clerk(error))
    }
}

impl From<MirrorError> for Stop {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clerk(error) => write!(f, "{error}; nothing was deleted"),
            Self::OtherInstance { mirror, clerk } => write!(
                f,
                "the mirror is of {mirror}, and the secret key of {clerk}; nothing was changed; use the key of that instance, or \
                 another database"
            ),
            Self::Empty { kind, rows } => write!(
                f,
                "Clerk lists no {kind} at all, while the mirror has {rows}; nothing was deleted; look into Clerk's dashboard, \
                 and use --force if that is right"
            ),
            Self::Short { kind, seen, count } => write!(
                f,
                "Clerk counts {count} of kind {kind}, and its list has shown {seen}, in two attempts; nothing was deleted; run \
                 it again later, or use --force"
            ),
            Self::TooMany { kind, rows, most } => write!(
                f,
                "{rows} rows of kind {kind} aren't at Clerk, which is more than the {most} that a run deletes; nothing was \
                 deleted; look into Clerk's dashboard, and use --force if that is right"
            ),
            Self::Void { kind, reason } => write!(
                f,
                "Clerk's answer about rows of kind {kind} can't be right: {reason}; nothing was deleted; run it again later"
            ),
        }
    }
}
