//! Errors of opening a store.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// An error that occurs when a store is opened.
///
/// [`Display`](fmt::Display) shows the path and what to do, and [`source`](StdError::source) the error of the operating
/// system or of SQLite. Neither shows the content of the file. Opening happens at start-up, so a program should usually
/// print the error and exit.
#[cfg_attr(feature = "sqlite", doc = "")]
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(feature = "sqlite", doc = "use tower_clerk::store::{SqliteStore, StoreErrorKind};")]
#[cfg_attr(feature = "sqlite", doc = "")]
#[cfg_attr(
    feature = "sqlite",
    doc = "let error = SqliteStore::open(\"/no/such/directory/state\").unwrap_err();"
)]
#[cfg_attr(feature = "sqlite", doc = "assert_eq!(error.kind(), StoreErrorKind::Io);")]
#[cfg_attr(feature = "sqlite", doc = "```")]
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    path: PathBuf,
    reason: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The path names something other than a regular file: a directory, a symbolic link or a device.
    NotAFile,
    /// Others could read or replace the file where it is: it, or its directory, belongs to another user or can be
    /// written by others, it has a second name, or it is on a file system of another machine.
    Unsafe,
    /// The file is not one of this store, is damaged, or was written by a later version of this crate. It is left
    /// unchanged.
    Format,
    /// None of the keys opens the file, or the file with its key is missing.
    Key,
    /// A setting of the store is out of its range.
    Setting,
    /// The operating system or SQLite returned an error, which is the `source` of this one.
    Io,
}

impl StoreError {
    #[cfg(feature = "sqlite")]
    pub(super) fn new(kind: StoreErrorKind, path: &Path, reason: &'static str) -> Self {
        Self { kind, path: path.to_owned(), reason, source: None }
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        let reason = "its directory must exist, and this process must be able to read and write both";
        Self::new(StoreErrorKind::Io, path, reason).caused_by(source)
    }

    /// The kind of the error, for programs that handle it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The path of the file, or of the directory that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be used: {}", self.path.display(), self.reason)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
