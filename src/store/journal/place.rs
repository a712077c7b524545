//! A file of our own: held by one, readable by its owner alone.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::store::error::{StoreError, StoreErrorKind};

/// Each further attempt means that somebody made, removed or replaced the file in the very moment.
const ATTEMPTS: usize = 16;

/// Opens the file, or makes it, and takes hold of it until it is closed.
///
/// A link is refused, too, though links among the directories above are fine. A compaction renames a new file over the
/// path: that would replace the link and leave the old file, with its secrets, where it leads. And whoever may put a link
/// into a shared directory would choose where the secrets are written.
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
            // It has gone, or come, since the look.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) if error.kind() == ErrorKind::NotFound && has_parent(path) => continue,
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::new(StoreErrorKind::InUse, path)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Between opening and locking its holder may have renamed a new file over it, and have let go of this one.
        if names(path, &file).map_err(failed)? == Some(true) {
            return Ok(file);
        }
    }
    Err(StoreError::new(StoreErrorKind::InUse, path))
}

/// Makes a file that wasn't there, not even as a link that leads nowhere.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the path names this open file; `None` where it names nothing.
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

// There is nothing stable to tell files apart by, and a file that is held open is not renamed over in the same way.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Takes what others may do with the file away from them.
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
                "a store's file was open to others: its mode is 600 now; see who may have read it"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

/// Makes a new file its predecessor's owner's.
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

/// Where a compaction writes: always the same path, so that what a crash leaves there, secrets and all, is found.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".compacting");
    path.with_file_name(name)
}

/// Removes a file; that there is none is just as well.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a renaming last. Not every system can, and without it an older state comes back at worst.
pub(super) fn commit(path: &Path) {
    if cfg!(unix)
        && let Some(directory) = path.parent()
    {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}

fn has_parent(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}
