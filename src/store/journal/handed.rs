//! Entries that another process hands to the holder of a journal: each is a file next to the journal.
//!
//! An attacker who can plant a client token could take over the sessions that are later opened with it. So an entry is
//! accepted only if its file belongs to the owner of the journal, and is not accessible to other users.

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
use super::log::RETRY_INTERVAL;
use super::open::Header;
use super::place;
use crate::sync::lock;

/// The size limit of an entry's file.
const MAX_FILE: u64 = 64 * 1024;

/// Parts of the file's name: once it is complete, and before that.
const WHOLE: &str = "enrolled";
const BEGUN: &str = "enrolling";

/// The directory is read at most once per interval, since clients can cause misses at any rate.
const LOOK: Duration = Duration::from_millis(100);

/// Writing an entry takes less time than this, so an older incomplete file was left by a crash.
const LEFT: Duration = Duration::from_secs(60);

/// Writes an entry next to a journal that another process holds. The holder sees the complete entry or none.
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
        Ok(()) => place::sync_directory(path),
        // The file may hold a secret.
        Err(_) => _ = place::remove(&begun),
    }
    written
}

fn write(path: &Path, begun: &Path, format: &'static str, line: &impl Serialize) -> io::Result<()> {
    let file = place::create(begun)?;
    // The holder would ignore the file, and only log that, where the caller doesn't see it.
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

/// The entries that were handed in, as the holder of the journal sees them.
pub(in crate::store) struct Inbox {
    path: PathBuf,
    owner: u32,
    /// Locked while the directory is read, so that each entry is accepted once.
    last: Mutex<Last>,
}

/// When the directory was last read, and when an ignored file was last logged.
#[derive(Default)]
struct Last {
    look: Option<Instant>,
    warning: Option<Instant>,
}

impl Inbox {
    pub(super) fn new(path: PathBuf, file: &File) -> io::Result<Self> {
        // Take the owner from the open file: the path may name another file by now.
        let owner = file.metadata()?.uid();
        let inbox = Self { path, owner, last: Mutex::default() };
        inbox.sweep();
        Ok(inbox)
    }

    /// Like [`collect`](Self::collect), but does nothing if the directory was read less than an interval ago.
    pub(in crate::store) fn collect_if_due(&self, format: &str, accept: impl FnMut(&[u8]) -> bool) {
        if self.is_due(Instant::now()) {
            self.collect(format, accept);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        lock(&self.last).look.is_none_or(|at| now.saturating_duration_since(at) >= LOOK)
    }

    /// Passes each entry's line to `accept`, and removes the file if that returns `true`. All other files are left
    /// unchanged.
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
            if last.warning.is_none_or(|at| at.elapsed() >= RETRY_INTERVAL) {
                last.warning = Some(Instant::now());
                tracing::warn!(
                    path = %path.display(), why,
                    "a file that was handed in to a store is ignored: find out which user created it, and remove it"
                );
            }
        }
    }

    fn read(&self, path: &Path, format: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let refused = |why| Err(io::Error::new(ErrorKind::InvalidData, why));
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            return refused("it is not a regular file");
        }
        if found.uid() != self.owner {
            return refused("it belongs to another user than the store's file");
        }
        if found.mode() & 0o077 != 0 {
            return refused("other users can access it: its mode must be 600");
        }
        if found.len() > MAX_FILE {
            return refused("it is too large");
        }
        // Open for writing, too: if the path names a FIFO by now, opening it read-only would block.
        let file = File::options().read(true).write(true).open(path)?;
        if !place::is_same(&found, &file.metadata()?) {
            return refused("it was replaced at the same moment");
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

    /// Removes incomplete files that a crash has left, since they may hold secrets.
    fn sweep(&self) {
        for path in self.named(BEGUN) {
            let written = fs::symlink_metadata(&path).and_then(|found| found.modified());
            if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT)) {
                let _ = place::remove(&path);
            }
        }
    }

    /// The files of this stage. If the directory can't be read, there are none.
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
impl Inbox {
    pub(in crate::store) fn forget_look(&self) {
        lock(&self.last).look = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Dir;

    #[test]
    fn the_directory_is_read_once_per_interval() {
        let dir = Dir::new();
        let file = place::create(&dir.path("devices")).unwrap();
        let inbox = Inbox::new(dir.path("devices"), &file).unwrap();
        let before = Instant::now();
        assert!(inbox.is_due(before));
        inbox.collect("any", |_| true);
        assert!(!inbox.is_due(before), "an instant from before the look is not due either");
        let looked = lock(&inbox.last).look.unwrap();
        assert!(!inbox.is_due(looked + LOOK - Duration::from_nanos(1)) && inbox.is_due(looked + LOOK));
    }
}
