//! Ids of open sessions that outlive a restart.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::journal::{Kept, Out, State};
use super::sessions::{DEFAULT_LIMIT, Sessions};
use super::{CLOCK_MARGIN, SessionStore, StoreError, StoreFuture, StoredSession, from_millis, millis};

/// Sessions in a file, so that a restarted process goes on with what it had opened.
///
/// Use it where one process runs at a time, on a local disk, in a directory that the process may write to. There are no
/// secrets in the file; only its owner can read it all the same.
///
/// Bounded like [`MemorySessions`](crate::store::MemorySessions). What has ended is dropped when the file is opened. A file that
/// can't be written to any more is logged, and memory goes on. Now and then a change writes the whole file anew, which
/// takes seconds with a million sessions: other changes wait for that, and looking sessions up waits for a part of it.
///
/// ```no_run
/// use tower_clerk::store::SessionFile;
///
/// let sessions = SessionFile::open("/var/lib/my-server/sessions")?;
/// # Ok::<_, tower_clerk::store::StoreError>(())
/// ```
pub struct SessionFile(Kept<Sessions>);

impl SessionFile {
    /// Opens the file, or makes it, and keeps it for this process until dropped.
    ///
    /// # Errors
    ///
    /// Somebody else holds the file, it is none of this kind, or the system refuses: see [`StoreErrorKind`].
    ///
    /// [`StoreErrorKind`]: crate::store::StoreErrorKind
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_limit(path, DEFAULT_LIMIT)
    }

    /// As [`open`](Self::open), with room for so many sessions instead of 1,000,000.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) has them.
    pub fn open_with_limit(path: impl AsRef<Path>, limit: usize) -> Result<Self, StoreError> {
        Kept::open(path.as_ref(), Sessions::new(limit)).map(Self)
    }
}

#[cfg(test)]
impl SessionFile {
    pub(super) fn compact(&self) {
        self.0.compact();
    }
}

impl fmt::Debug for SessionFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.0.read(State::len);
        f.debug_struct("SessionFile").field("open", &open).finish_non_exhaustive()
    }
}

impl SessionStore for SessionFile {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move { self.0.read(|sessions| sessions.get(user_id, organization)) })
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let kept = session.clone();
            self.0.change(&Line::put(&session), |sessions| sessions.put(kept).then_some(()));
        })
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let line = Line::Remove { session: session_id.into() };
            self.0.change(&line, |sessions| sessions.remove(user_id, session_id).then_some(()));
        })
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            let line = Line::RemoveUser { user: user_id.into() };
            let some = |taken: Vec<_>| (!taken.is_empty()).then_some(taken);
            self.0.change(&line, |sessions| some(sessions.take_user(user_id))).unwrap_or_default()
        })
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            let line = Line::Remove { session: session_id.into() };
            self.0.change(&line, |sessions| sessions.take_session(session_id))
        })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async move { self.0.clear(Sessions::take_all) })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Put {
        #[serde(borrow)]
        session: Cow<'a, str>,
        #[serde(borrow)]
        user: Cow<'a, str>,
        // Serde borrows no string that may be missing: it is a copy when it is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organization: Option<Cow<'a, str>>,
        expire: u64,
    },
    Remove {
        #[serde(borrow)]
        session: Cow<'a, str>,
    },
    RemoveUser {
        #[serde(borrow)]
        user: Cow<'a, str>,
    },
}

impl<'a> Line<'a> {
    fn put(session: &'a StoredSession) -> Self {
        Self::Put {
            session: session.session_id().into(),
            user: session.user_id().into(),
            organization: session.organization().map(Into::into),
            expire: millis(session.expire_at()),
        }
    }
}

impl State for Sessions {
    const FORMAT: &'static str = "tower-clerk sessions";

    fn replay(&mut self, line: &[u8]) -> bool {
        match serde_json::from_slice(line) {
            Ok(Line::Put { session, user, organization, expire }) => {
                self.put(StoredSession::new(&user, organization.as_deref(), &session, from_millis(expire)))
            }
            Ok(Line::Remove { session }) => {
                self.take_session(&session);
                true
            }
            Ok(Line::RemoveUser { user }) => {
                self.take_user(&user);
                true
            }
            Err(_) => false,
        }
    }

    fn replayed(&mut self) {
        if let Some(before) = SystemTime::now().checked_sub(CLOCK_MARGIN) {
            self.expire(before);
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn write_out(&self, out: &mut Out<'_>) -> io::Result<()> {
        self.0.iter().try_for_each(|session| out.line(&Line::put(session)))
    }
}
