//! Errors of opening a store's file.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error that occurs when a store's file is opened.
///
/// [`Display`](fmt::Display) shows the file's path and what to do, and [`source`](StdError::source) the error of the
/// operating system. Neither shows the content of the file. Opening happens at start-up, so a program should usually
/// print the error and exit.
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

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process, or another store in this process, holds the file.
    InUse,
    /// The path names something other than a regular file: a directory, a symbolic link or a device.
    NotAFile,
    /// The file is not one of this store, or was written by a later version of this crate. It is left unchanged.
    Format,
    /// The operating system returned an error, which is the `source` of this one.
    Io,
}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, path: &Path) -> Self {
        Self { kind, path: path.to_owned(), source: None }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self { kind: StoreErrorKind::Io, path: path.to_owned(), source: Some(source) }
    }

    /// The kind of the error, for programs that handle it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The path of the file.
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
                "{path} is held by another process, or by another store in this process: use a different file for each"
            ),
            StoreErrorKind::NotAFile => write!(
                f,
                "{path} is not a regular file: use one or a new path, not a directory, link or device"
            ),
            StoreErrorKind::Format => write!(
                f,
                "{path} is not a file of this store, or was written by a later version: use another file"
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
