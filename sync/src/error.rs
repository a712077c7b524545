//! Why an operation of the mirror failed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// An error of the mirror: of its database, of Clerk's API, or of a setting.
///
/// [`kind`](Self::kind) says what is wrong, and the message what to do. It shows nothing of a row, of a secret or of the
/// database's address.
#[derive(Clone, Debug)]
pub struct MirrorError {
    kind: MirrorErrorKind,
    detail: Cow<'static, str>,
}

/// The kind of a [`MirrorError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MirrorErrorKind {
    /// The database is away, refuses the connection, or failed. The same operation may succeed later.
    Database,
    /// The database's tables are older or newer than this program's, or can't be migrated.
    Schema,
    /// The mirror is of another Clerk instance than the event or the secret key.
    WrongInstance,
    /// Another process has taken the lease over, so that the write must not land.
    Fenced,
    /// Another process holds the lease.
    Busy,
    /// An object can't be stored, and never will be as it is.
    Unfit,
    /// Clerk's API failed or refused the secret key.
    Client,
    /// Clerk's API gave no readable answer about one object. The same read may succeed later, and so may those of other objects.
    Unreadable,
    /// A setting is unusable.
    Setting,
}

impl MirrorError {
    pub(crate) fn new(kind: MirrorErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn setting(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(MirrorErrorKind::Setting, detail)
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> MirrorErrorKind {
        self.kind
    }
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for MirrorError {}

/// The error is told in words at once and not kept: its `Debug` shows the row that PostgreSQL refused.
impl From<sqlx::Error> for MirrorError {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Configuration(_) => MirrorErrorKind::Setting,
            _ if is_of_data(&error) => MirrorErrorKind::Unfit,
            _ => MirrorErrorKind::Database,
        };
        let detail = match &error {
            // The message may quote a part of the address.
            sqlx::Error::Configuration(_) => {
                "the database's address has a parameter with an unusable value".to_owned()
            }
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default();
                match kind {
                    // The message may quote the value.
                    MirrorErrorKind::Unfit => format!("the database can't store the object: code {code}"),
                    _ => format!("the database failed: {} (code {code})", refusal.message()),
                }
            }
            sqlx::Error::PoolTimedOut => {
                "the database gave no connection in time: see whether it runs and has connections left"
                    .to_owned()
            }
            other => format!("the database failed: {other}"),
        };
        Self::new(kind, detail)
    }
}

impl From<tower_clerk::backend::BackendError> for MirrorError {
    fn from(error: tower_clerk::backend::BackendError) -> Self {
        Self::new(MirrorErrorKind::Client, error.to_string())
    }
}

impl From<sqlx::migrate::MigrateError> for MirrorError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::new(
                MirrorErrorKind::Schema,
                format!("the tables of the mirror can't be migrated: {other}"),
            ),
        }
    }
}

/// Whether the database refused the data itself, so that it would refuse it again.
///
/// PostgreSQL's classes 22 (data exception), 23 (integrity constraint) and 54 (limit exceeded, such as a value too long for
/// an index): <https://www.postgresql.org/docs/current/errcodes-appendix.html>. SQLite's `TOOBIG`, `CONSTRAINT` and
/// `MISMATCH`: <https://sqlite.org/rescode.html>.
fn is_of_data(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else { return false };
    let Some(code) = refusal.code() else { return false };
    if code.len() == 5 {
        return ["22", "23", "54"].iter().any(|class| code.starts_with(class));
    }
    // The lower byte of an extended code is the primary one.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20))
}
