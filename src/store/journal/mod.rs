//! A file that what is kept can be read from again: one JSON line per change, behind a header.
//!
//! Each change is handed to the system at once, so that a killed process loses nothing. It is not forced to the disk: a
//! machine that loses power may lose the last seconds, and what that costs is a sign-in more. Lines that later ones have
//! made void are garbage; when there is much of it, the file is written anew.

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

pub(super) use self::handed::{Tray, hand_in};
use self::lines::Batch;
use self::log::Journal;
use super::error::StoreError;
use crate::sync::lock;

/// What is kept, as the journal sees it.
pub(super) trait State {
    /// What the file's header calls it.
    const FORMAT: &'static str;

    /// Makes the change that a line tells of; `false` where it tells of none.
    fn replay(&mut self, line: &[u8]) -> bool;

    /// Forgets what is over by now, after all lines are read.
    fn replayed(&mut self);

    /// How many lines [`write_out`](Self::write_out) writes.
    fn len(&self) -> usize;

    /// Writes the lines that make this state out of an empty one.
    fn write_out(&self, out: &mut Out<'_>) -> io::Result<()>;
}

/// Where a whole state goes.
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

/// A state in memory, and the file that it comes back from.
///
/// Who reads doesn't wait for the disk, only for a whole state to be handed to the system. Who changes something takes
/// the journal's lock first, so that the lines stand in the order of the changes.
pub(super) struct Kept<S: State> {
    journal: Mutex<Journal>,
    state: Mutex<S>,
}

impl<S: State> Kept<S> {
    pub(super) fn open(path: &Path, empty: S) -> Result<Self, StoreError> {
        let state = Mutex::new(empty);
        let journal = Mutex::new(Journal::open(path, &state)?);
        Ok(Self { journal, state })
    }

    /// Where other processes hand entries in.
    pub(super) fn tray(&self) -> Result<Tray, StoreError> {
        let journal = lock(&self.journal);
        Tray::new(journal.path.clone(), &journal.file).map_err(|error| StoreError::io(&journal.path, error))
    }

    pub(super) fn read<R>(&self, read: impl FnOnce(&S) -> R) -> R {
        read(&lock(&self.state))
    }

    /// Makes a change, and notes it down unless it says that it is none.
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

    /// Makes the change that leaves nothing, in the file neither.
    pub(super) fn clear<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut journal = lock(&self.journal);
        let changed = change(&mut lock(&self.state));
        journal.clear();
        changed
    }
}

#[cfg(test)]
impl<S: State> Kept<S> {
    pub(super) fn compact(&self) {
        lock(&self.journal).compact(&self.state);
    }

    /// Goes on with another opening of the file: one that can't be written to, say.
    pub(super) fn swap_file(&self, file: File) {
        lock(&self.journal).file = file;
    }
}

impl<S: State> Drop for Kept<S> {
    fn drop(&mut self) {
        let mut journal = lock(&self.journal);
        if journal.is_behind() {
            journal.compact(&self.state);
        }
    }
}
