//! The file itself: who else could read, replace or rename it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::network;
use crate::store::{StoreError, StoreErrorKind};

/// Checks the path, and creates the file if it is missing. Returns the path with its directory's links resolved.
///
/// The file is not opened here: when a process closes a file, it loses all its locks of it, also those that SQLite
/// holds for another store (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>).
pub(super) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::io(path, error);
    let absolute = std::path::absolute(path).map_err(failed)?;
    let (Some(directory), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(StoreError::new(StoreErrorKind::NotAFile, path, "it has no file name"));
    };
    let directory = directory.canonicalize().map_err(failed)?;
    check_directory(&directory)?;
    network::check(&directory)?;
    let path = directory.join(name);
    if check(&path)?.is_none() {
        create(&path)?;
    }
    // Another user's journal would be rolled back into our file.
    check(&beside(&path, "-journal"))?;
    let log = beside(&path, "-wal");
    if fs::symlink_metadata(&log).is_ok() {
        let reason =
            "it is a write-ahead log, which this store never makes, and would be read as a part of it";
        return Err(StoreError::new(StoreErrorKind::Format, &log, reason));
    }
    tighten(&path)?;
    Ok(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Checks that only this user can use the file. `None` if it doesn't exist.
pub(super) fn check(path: &Path) -> Result<Option<()>, StoreError> {
    // Not of a link's target: in a shared directory a link would let another user choose where secrets are written.
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, error)),
    };
    if !found.is_file() {
        let reason = "it is not a regular file: use one or a new path, not a directory, link or device";
        return Err(StoreError::new(StoreErrorKind::NotAFile, path, reason));
    }
    if let Some(reason) = shared_file(&found) {
        return Err(StoreError::new(StoreErrorKind::Unsafe, path, reason));
    }
    Ok(Some(()))
}

#[cfg(unix)]
fn shared_file(file: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if file.uid() != rustix::process::geteuid().as_raw() {
        return Some("it belongs to another user than the one of this process");
    }
    (file.nlink() > 1).then_some("it has another name (a hard link), which others may open it by")
}

#[cfg(unix)]
fn check_directory(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path).map_err(|error| StoreError::io(path, error))?;
    let user = rustix::process::geteuid().as_raw();
    let reason = if found.uid() != user && found.uid() != 0 {
        "this directory belongs to another user, who could replace the file"
    } else if found.mode() & 0o022 != 0 {
        "others can write to this directory, and so replace the file: use a directory with mode 700 or 755"
    } else {
        return Ok(());
    };
    Err(StoreError::new(StoreErrorKind::Unsafe, path, reason))
}

// Access rights are lists there, which the standard library doesn't read.
#[cfg(not(unix))]
fn shared_file(_: &Metadata) -> Option<&'static str> {
    None
}

#[cfg(not(unix))]
fn check_directory(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {
            sync_directory(path);
            Ok(())
        }
        // Another process has made it at the same moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check(path).map(drop),
        Err(error) => Err(StoreError::io(path, error)),
    }
}

/// Removes the permissions of other users.
pub(super) fn tighten(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |error| StoreError::io(path, error);
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
            tracing::warn!(
                path = %path.display(),
                mode = %format_args!("{:o}", mode & 0o777),
                "a store's file was accessible to other users: its mode is 600 now; check which users may have read it"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Syncs the directory after a file was made. Not every platform can; at worst the file is missing after a power
/// failure.
pub(super) fn sync_directory(path: &Path) {
    if cfg!(unix)
        && let Some(directory) = path.parent()
    {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}
