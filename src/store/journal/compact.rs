//! Rewrites the file without its garbage.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::log::Journal;
use super::open::Header;
use super::{Out, State, place};
use crate::sync::lock;

impl Journal {
    /// Replaces the file with one that holds only the current state. If this fails, the old file stays in use.
    pub(super) fn compact<S: State>(&mut self, state: &Mutex<S>) {
        let new_path = place::compaction_path(&self.path);
        match self.rewrite(&new_path, state) {
            Ok(()) => (self.torn, self.behind, self.failed) = (false, false, None),
            Err(error) => {
                self.batch.forget();
                // The file may hold secrets. If it can't be removed, the next compaction or start tries again.
                let _ = place::remove(&new_path);
                self.tell(&error);
            }
        }
    }

    fn rewrite<S: State>(&mut self, new_path: &Path, state: &Mutex<S>) -> io::Result<()> {
        place::remove(new_path)?;
        let file = place::create(new_path)?;
        // The owner must stay the same even if an administrator's process compacts the file.
        place::give_to_owner_of(&self.file, &file)?;
        // Lock the file before it gets its final name, under which other processes open it.
        file.try_lock()?;
        let (body, end, lines) = self.write_out(&file, state)?;
        // Without this, a crash after the rename may leave an empty file.
        file.sync_all()?;
        // The file may have been moved away, and another process may have created a new one.
        if place::names(&self.path, &self.file)? == Some(false) {
            return Err(io::Error::other("another file has taken its place"));
        }
        fs::rename(new_path, &self.path)?;
        place::sync_directory(&self.path);
        // This closes the old file, and so releases its lock.
        (self.file, self.body, self.end, self.lines) = (file, body, end, lines);
        Ok(())
    }

    fn write_out<S: State>(&mut self, file: &File, state: &Mutex<S>) -> io::Result<(u64, u64, usize)> {
        let mut out = Out { file, batch: &mut self.batch, written: 0, lines: 0 };
        out.line(&Header::new(self.format))?;
        let body = out.written;
        lock(state).write_out(&mut out)?;
        let (end, lines) = (out.written, out.lines - 1);
        self.batch.write(file)?;
        Ok((body, end, lines))
    }
}
