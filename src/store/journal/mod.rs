//! A journal of the changes to a store: a file with a header line, and then one JSON line per change.
//!
//! Each change is written to the operating system at once, so that a killed process loses nothing. It is not synced to
//! the disk: a power failure may lose the last seconds, which costs another sign-in. Lines that later lines have
//! replaced are garbage. The file is compacted when there is too much of it.

mod compact;
#[cfg(unix)]
mod handed;
#[cfg(not(unix))]
#[path = "nothing_handed.rs"]
mod handed;
mod lines;
mod log;
mod open;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

pub(super) use self::handed::{Inbox, hand_in};
use self::lines::Batch;
use self::log::Journal;
use super::error::StoreError;
use crate::sync::lock;

/// The state of a store, as the journal sees it.
pub(super) trait State {
    /// The format's name in the file's header.
    const FORMAT: &'static str;

    /// Applies the change of a line. Returns `false` if the line is not a valid change.
    fn replay(&mut self, line: &[u8]) -> bool;

    /// Removes the entries that have ended, after all lines are read.
    fn replayed(&mut self);

    /// How many lines [`write_out`](Self::write_out) writes.
    fn len(&self) -> usize;

    /// Writes the lines that rebuild this state from an empty one.
    fn write_out(&self, out: &mut Out<'_>) -> io::Result<()>;
}

/// The output of a compaction.
pub(super) struct Out<'a> {
    file: &'a File,
    batch: &'a mut Batch,
    written: u64,
    lines: usize,
}

impl Out<'_> {
    pub(super) fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.written += self.batch.add(line)?;
        self.lines += 1;
        if self.batch.is_due() { self.batch.write(self.file) } else { Ok(()) }
    }
}

/// A state in memory with its journal.
///
/// Readers don't wait for the disk, except while a compaction writes the state out. A change takes the journal's lock
/// first, so that the lines are in the order of the changes.
pub(super) struct Persistent<S: State> {
    journal: Mutex<Journal>,
    state: Mutex<S>,
}

impl<S: State> Persistent<S> {
    pub(super) fn open(path: &Path, empty: S) -> Result<Self, StoreError> {
        let state = Mutex::new(empty);
        let journal = Mutex::new(Journal::open(path, &state)?);
        Ok(Self { journal, state })
    }

    /// Where other processes hand entries in.
    pub(super) fn inbox(&self) -> Result<Inbox, StoreError> {
        let journal = lock(&self.journal);
        Inbox::new(journal.path.clone(), &journal.file).map_err(|error| StoreError::io(&journal.path, error))
    }

    pub(super) fn read<R>(&self, read: impl FnOnce(&S) -> R) -> R {
        read(&lock(&self.state))
    }

    /// Makes a change, and appends it to the journal unless it returns `None`.
    pub(super) fn change<R>(
        &self,
        line: &impl Serialize,
        change: impl FnOnce(&mut S) -> Option<R>,
    ) -> Option<R> {
        let mut journal = lock(&self.journal);
        let mut state = lock(&self.state);
        let changed = change(&mut state)?;
        let live = state.len();
        drop(state);
        journal.append(line);
        if journal.is_due(live) {
            journal.compact(&self.state);
        }
        Some(changed)
    }

    /// Makes a change that empties the state, and truncates the file.
    pub(super) fn clear<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut journal = lock(&self.journal);
        let changed = change(&mut lock(&self.state));
        journal.clear();
        changed
    }
}

#[cfg(test)]
impl<S: State> Persistent<S> {
    pub(super) fn compact(&self) {
        lock(&self.journal).compact(&self.state);
    }

    /// Continues with another file handle, such as a read-only one.
    pub(super) fn swap_file(&self, file: File) {
        lock(&self.journal).file = file;
    }
}

impl<S: State> Drop for Persistent<S> {
    fn drop(&mut self) {
        let mut journal = lock(&self.journal);
        if journal.is_behind() {
            journal.compact(&self.state);
        }
    }
}
