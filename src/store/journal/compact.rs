//! The file written anew, without what is of no use any more.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::log::Journal;
use super::open::Header;
use super::{Out, State, place};
use crate::sync::lock;

impl Journal {
    /// Puts a file that holds just the state in the place of this one. Where that fails, this one goes on.
    pub(super) fn compact<S: State>(&mut self, state: &Mutex<S>) {
        let beside = place::beside(&self.path);
        match self.rewrite(&beside, state) {
            Ok(()) => (self.torn, self.behind, self.failed) = (false, false, None),
            Err(error) => {
                self.batch.forget();
                // It may hold secrets. If it can't be removed, the next attempt or start tries again.
                let _ = place::remove(&beside);
                self.tell(&error);
            }
        }
    }

    fn rewrite<S: State>(&mut self, beside: &Path, state: &Mutex<S>) -> io::Result<()> {
        place::remove(beside)?;
        let file = place::create(beside)?;
        // Whoever compacts it, as an administrator may who looks into it: it stays its owner's.
        place::give_to_owner_of(&self.file, &file)?;
        // Held before it has the name that others look for.
        file.try_lock()?;
        let (body, end, lines) = self.write_out(&file, state)?;
        // Or a crash leaves an empty file where a full one was.
        file.sync_all()?;
        // Somebody may have moved our file away, and another process have made its own.
        if place::names(&self.path, &self.file)? == Some(false) {
            return Err(io::Error::other("another file has taken its place"));
        }
        fs::rename(beside, &self.path)?;
        place::commit(&self.path);
        // Closing the old one lets go of it.
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
