//! Entries that another process hands to the holder of a file: each a file of its own, beside that one.
//!
//! Whoever can plant a client token could later take over the sessions that are opened on it. So what is taken in must
//! belong to whom the file itself belongs to, and be nobody else's business.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use zeroize::Zeroizing;

use super::lines::{Batch, Lines, Piece};
use super::log::PATIENCE;
use super::open::Header;
use super::place;
use crate::sync::lock;

/// The largest such file.
const MAX_FILE: u64 = 64 * 1024;

/// What it is called once it is whole, and before.
const WHOLE: &str = "enrolled";
const BEGUN: &str = "enrolling";

/// A look into the directory serves for so long: whoever is refused for want of a device may ask as often as they like.
const LOOK: Duration = Duration::from_millis(100);

/// Writing one takes no longer, so what is older was left by a crash.
const LEFT: Duration = Duration::from_secs(60);

/// Puts one entry beside a file that somebody else holds. The holder sees all of it or nothing.
pub(in crate::store) fn hand_in(path: &Path, format: &'static str, line: &impl Serialize) -> io::Result<()> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("there is no randomness"))?;
    let named = |stage| {
        let mut name = prefix(path, stage);
        name.push(format!("{:032x}", u128::from_ne_bytes(random)));
        path.with_file_name(name)
    };
    let (begun, whole) = (named(BEGUN), named(WHOLE));
    let written = write(path, &begun, format, line).and_then(|()| fs::rename(&begun, whole));
    match written {
        Ok(()) => place::commit(path),
        // It may hold a secret.
        Err(_) => _ = place::remove(&begun),
    }
    written
}

fn write(path: &Path, begun: &Path, format: &'static str, line: &impl Serialize) -> io::Result<()> {
    let file = place::create(begun)?;
    // The holder would leave it alone, and tell nobody who can do something about it.
    if file.metadata()?.uid() != fs::symlink_metadata(path)?.uid() {
        let why = "the file belongs to another user, and that user has to do this";
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let mut batch = Batch::new();
    if batch.add(&Header::new(format))? + batch.add(line)? > MAX_FILE {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the entry is too large"));
    }
    batch.write(&file)?;
    file.sync_all()
}

/// Where entries are handed in, as the holder of the file sees it.
pub(in crate::store) struct Tray {
    path: PathBuf,
    owner: u32,
    /// Held while looking, so that each entry is taken in once.
    last: Mutex<Last>,
}

/// When there was last a look, and something that was left alone and logged.
#[derive(Default)]
struct Last {
    look: Option<Instant>,
    warning: Option<Instant>,
}

impl Tray {
    pub(super) fn new(path: PathBuf, file: &File) -> io::Result<Self> {
        // Of the file that is held: by now the path may be another's.
        let owner = file.metadata()?.uid();
        let tray = Self { path, owner, last: Mutex::default() };
        tray.sweep();
        Ok(tray)
    }

    /// As [`collect`](Self::collect), unless there was a look just now.
    pub(in crate::store) fn collect_if_due(&self, format: &str, accept: impl FnMut(&[u8]) -> bool) {
        if self.is_due(Instant::now()) {
            self.collect(format, accept);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        lock(&self.last).look.is_none_or(|at| now.saturating_duration_since(at) >= LOOK)
    }

    /// Takes in what has been handed in: offers each entry's line, and removes the file of one that is accepted.
    /// Anything else is left as it is.
    pub(in crate::store) fn collect(&self, format: &str, mut accept: impl FnMut(&[u8]) -> bool) {
        let mut last = lock(&self.last);
        last.look = Some(Instant::now());
        for path in self.named(WHOLE) {
            let why = match self.read(&path, format) {
                Ok(line) if accept(&line) => match place::remove(&path) {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                },
                Ok(_) => NO_ENTRY.to_owned(),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => error.to_string(),
            };
            if last.warning.is_none_or(|at| at.elapsed() >= PATIENCE) {
                last.warning = Some(Instant::now());
                tracing::warn!(
                    path = %path.display(), why,
                    "what was handed in for a store's file is left alone: see who put it there, and remove it"
                );
            }
        }
    }

    fn read(&self, path: &Path, format: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let refused = |why| Err(io::Error::new(ErrorKind::InvalidData, why));
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            return refused("it is no regular file");
        }
        if found.uid() != self.owner {
            return refused("it belongs to another user than the store's file");
        }
        if found.mode() & 0o077 != 0 {
            return refused("it is open to others: its mode must be 600");
        }
        if found.len() > MAX_FILE {
            return refused("it is too large");
        }
        // For writing, too: should it have become a pipe since the look, that doesn't wait for the other end.
        let file = File::options().read(true).write(true).open(path)?;
        if !place::is_same(&found, &file.metadata()?) {
            return refused("it was replaced in the very moment");
        }
        let mut lines = Lines::new(&file);
        let Some(Piece::Line(header)) = lines.next()? else { return refused(NO_ENTRY) };
        if !Header::is_at(format, header) {
            return refused(NO_ENTRY);
        }
        let Some(Piece::Line(line)) = lines.next()? else { return refused(NO_ENTRY) };
        let line = Zeroizing::new(line.to_vec());
        if lines.next()?.is_some() { refused(NO_ENTRY) } else { Ok(line) }
    }

    /// Removes what crashes have left. It may hold secrets.
    fn sweep(&self) {
        for path in self.named(BEGUN) {
            let written = fs::symlink_metadata(&path).and_then(|found| found.modified());
            if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT)) {
                let _ = place::remove(&path);
            }
        }
    }

    /// The files of this stage. A directory that can't be read has none.
    fn named(&self, stage: &str) -> impl Iterator<Item = PathBuf> {
        let prefix = prefix(&self.path, stage);
        let entries = self.path.parent().and_then(|directory| fs::read_dir(directory).ok());
        entries.into_iter().flatten().filter_map(move |entry| {
            let entry = entry.ok()?;
            let is_one = entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
            is_one.then(|| entry.path())
        })
    }
}

const NO_ENTRY: &str = "it doesn't hold one entry of this store";

fn prefix(path: &Path, stage: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{stage}."));
    name
}

#[cfg(test)]
impl Tray {
    pub(in crate::store) fn forget_look(&self) {
        lock(&self.last).look = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Dir;

    #[test]
    fn a_look_serves_for_a_moment() {
        let dir = Dir::new();
        let file = place::create(&dir.path("devices")).unwrap();
        let tray = Tray::new(dir.path("devices"), &file).unwrap();
        let before = Instant::now();
        assert!(tray.is_due(before));
        tray.collect("any", |_| true);
        assert!(!tray.is_due(before), "read before the look, and used after it");
        let looked = lock(&tray.last).look.unwrap();
        assert!(!tray.is_due(looked + LOOK - Duration::from_nanos(1)) && tray.is_due(looked + LOOK));
    }
}
