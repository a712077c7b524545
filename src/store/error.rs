//! Why a file of kept things can't be opened.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A store whose file can't be opened.
///
/// It shows the file's path and what the system said, never what the file holds. Its message says what to do about
/// it, so a program does well to print it and stop.
///
/// ```
/// use tower_clerk::store::{SessionFile, StoreErrorKind};
///
/// let error = SessionFile::open(std::env::temp_dir()).unwrap_err();
/// assert_eq!(error.kind(), StoreErrorKind::NotAFile);
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    path: PathBuf,
    source: Option<io::Error>,
}

/// What kind of [`StoreError`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process holds the file, or another store of this one.
    InUse,
    /// There is something else at the path: a directory, a link, a device.
    NotAFile,
    /// The file holds something else, or was written by a version to come. It is left as it is.
    Format,
    /// The system refused; the error's source says why.
    Io,
}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, path: &Path) -> Self {
        Self { kind, path: path.to_owned(), source: None }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self { kind: StoreErrorKind::Io, path: path.to_owned(), source: Some(source) }
    }

    /// What is wrong, for programs.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            StoreErrorKind::InUse => write!(
                f,
                "{path} is held by another process, or by another store of this one: give each a file of its own"
            ),
            StoreErrorKind::NotAFile => write!(
                f,
                "{path} is no regular file: name one, or a path where nothing is yet, but no directory, link or device"
            ),
            StoreErrorKind::Format => write!(
                f,
                "{path} holds something else than this store, or was written by a later version: name another file"
            ),
            StoreErrorKind::Io => write!(
                f,
                "{path} can't be used: its directory must exist, and this process must be able to write to both"
            ),
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
