//! The file of a journal: locked by one process, and readable only by its owner.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::store::error::{StoreError, StoreErrorKind};

/// Another attempt is needed only if another process created, removed or replaced the file at the same moment.
const ATTEMPTS: usize = 16;

/// Opens or creates the file, and locks it until it is closed.
///
/// A symbolic link is an error, although the directories of the path may be links. A compaction renames a new file over
/// the path, which would replace the link and leave the old file, with its secrets, at the target. In a shared
/// directory a link would also let another user choose where the secrets are written.
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    let failed = |error| StoreError::io(path, error);
    for _ in 0..ATTEMPTS {
        let opened = match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => {
                return Err(StoreError::new(StoreErrorKind::NotAFile, path));
            }
            Ok(_) => File::options().read(true).write(true).open(path),
            Err(error) if error.kind() == ErrorKind::NotFound => create(path),
            Err(error) => Err(error),
        };
        let file = match opened {
            Ok(file) => file,
            // The file was created or removed since `symlink_metadata`.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) if error.kind() == ErrorKind::NotFound && has_parent(path) => continue,
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::new(StoreErrorKind::InUse, path)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Before we got the lock, the last holder may have renamed a new file over this one.
        if names(path, &file).map_err(failed)? == Some(true) {
            return Ok(file);
        }
    }
    Err(StoreError::new(StoreErrorKind::InUse, path))
}

/// Creates a file. The path must not exist, not even as a dangling link.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the path names this open file. `None` if the path doesn't exist.
pub(super) fn names(path: &Path, file: &File) -> io::Result<Option<bool>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.is_file() && is_same(&found, &file.metadata()?))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

// The standard library has no stable file identity here, and an open file can't be renamed over in the same way.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Removes the permissions of other users.
pub(super) fn tighten(path: &Path, file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            tracing::warn!(
                path = %path.display(),
                mode = %format_args!("{:o}", mode & 0o777),
                "a store's file was accessible to other users: its mode is 600 now; check which users may have read it"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

/// Gives a new file the owner of the old one.
pub(super) fn give_to_owner_of(old: &File, new: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let (owner, made) = (old.metadata()?, new.metadata()?);
        if (owner.uid(), owner.gid()) != (made.uid(), made.gid()) {
            fchown(new, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (old, new);
    Ok(())
}

/// The path that a compaction writes to. It is always the same, so that a file with secrets is found after a crash.
pub(super) fn compaction_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".compacting");
    path.with_file_name(name)
}

/// Removes a file, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs the directory after a rename. Not every platform can; at worst an older state is read after a power failure.
pub(super) fn sync_directory(path: &Path) {
    if cfg!(unix)
        && let Some(directory) = path.parent()
    {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}

fn has_parent(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}
