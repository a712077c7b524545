//! The file beside the store with the key that its data key is encrypted under, for operators who give none.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::file;
use crate::store::{StoreError, StoreErrorKind, StoreKey};

pub(super) fn path_of(store: &Path) -> PathBuf {
    let mut path = OsString::from(store);
    path.push(".key");
    path.into()
}

/// Reads the key. Makes it only if `may_make`: a new key would not open a data key that is there. The caller holds the
/// store's lock, so no other process makes one at the same time.
pub(super) fn read_or_make(store: &Path, may_make: bool) -> Result<StoreKey, StoreError> {
    let path = path_of(store);
    match file::check(&path)? {
        Some(()) => read(&path),
        None if may_make => {
            make(&path).map_err(|error| StoreError::io(&path, error))?;
            read(&path)
        }
        None => {
            let reason =
                "it is missing, and only it opens the store beside it: put it back, or remove the store";
            Err(StoreError::new(StoreErrorKind::Key, &path, reason))
        }
    }
}

fn read(path: &Path) -> Result<StoreKey, StoreError> {
    file::tighten(path)?;
    // Of a fixed size, so that no copy is left behind when it grows.
    let mut text = Zeroizing::new([0; 64]);
    let read = || {
        let (mut file, mut length) = (File::open(path)?, 0);
        loop {
            match file.read(&mut text[length..])? {
                0 => return Ok(length),
                more => length += more,
            }
        }
    };
    let length = { read }().map_err(|error: io::Error| StoreError::io(path, error))?;
    let key = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.parse().ok());
    let reason = "it doesn't hold a key: 32 bytes as standard base64";
    key.ok_or_else(|| StoreError::new(StoreErrorKind::Key, path, reason))
}

/// Writes a new key. The finished file is renamed, so that a crash leaves no half of a key, and no second name of a whole
/// one, which would be refused.
fn make(path: &Path) -> io::Result<()> {
    let no_randomness = |_| io::Error::other("there is no randomness");
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(no_randomness)?;
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(no_randomness)?;
    let mut name = OsString::from(path);
    name.push(format!(".{:016x}", u64::from_le_bytes(random)));
    let unfinished = PathBuf::from(name);
    let made = write(&unfinished, &StoreKey::from(*bytes)).and_then(|()| fs::rename(&unfinished, path));
    if made.is_err() {
        _ = fs::remove_file(&unfinished);
    }
    made?;
    file::sync_directory(path);
    Ok(())
}

fn write(path: &Path, key: &StoreKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key.to_text().as_bytes())?;
    file.sync_all()
}
