//! A file that may hold what was kept, read again.

use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::lines::{Batch, Lines, Piece};
use super::log::Journal;
use super::{State, place};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::sync::lock;

/// To be raised with every change that an older reader would get wrong.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct Header<'a> {
    format: &'a str,
    version: u32,
}

impl Header<'static> {
    pub(super) fn new(format: &'static str) -> Self {
        Self { format, version: VERSION }
    }
}

impl Header<'_> {
    pub(super) fn is_at(format: &str, line: &[u8]) -> bool {
        serde_json::from_slice::<Header<'_>>(line)
            .is_ok_and(|header| header.format == format && header.version == VERSION)
    }

    fn begins_with(format: &str, piece: &[u8]) -> bool {
        let whole = format!("{{\"format\":\"{format}\",\"version\":{VERSION}}}");
        whole.as_bytes().starts_with(piece)
    }
}

impl Journal {
    /// Opens a file and makes the changes that it tells of. Nothing is done to a file that isn't one of ours.
    pub(super) fn open<S: State>(path: &Path, state: &Mutex<S>) -> Result<Self, StoreError> {
        // Made absolute, since the program may go to another directory before the file is written anew.
        let path = std::path::absolute(path).map_err(|error| StoreError::io(path, error))?;
        let failed = |error| StoreError::io(&path, error);
        let file = place::open(&path)?;

        let mut lines = Lines::new(&file);
        let is_new = match lines.next().map_err(failed)? {
            // Empty, as `touch` makes it, or as we did before we were killed over the first line.
            None => true,
            Some(Piece::Torn(piece)) if Header::begins_with(S::FORMAT, piece) => true,
            Some(Piece::Line(line)) if Header::is_at(S::FORMAT, line) => false,
            Some(_) => return Err(StoreError::new(StoreErrorKind::Format, &path)),
        };
        place::tighten(&path, &file).map_err(failed)?;
        // What a crash in the middle of a compaction has left.
        let _ = place::remove(&place::beside(&path));

        let body = lines.whole();
        let (mut whole_lines, mut unread) = (0, 0_usize);
        let mut held = lock(state);
        while let Some(piece) = lines.next().map_err(failed)? {
            match piece {
                Piece::Line(line) if held.replay(line) => whole_lines += 1,
                Piece::Line(_) | Piece::TooLong => unread += 1,
                Piece::Torn(_) => {}
            }
        }
        held.replayed();
        let live = held.len();
        drop(held);
        if unread > 0 {
            // What a disk does to a file when the power goes is no reason not to start again.
            tracing::warn!(path = %path.display(), lines = unread, "a store's file is damaged; the rest of it is used");
        }

        let end = lines.whole();
        drop(lines);
        let torn = file.metadata().map_err(failed)?.len() > end;
        let mut journal = Self {
            path,
            format: S::FORMAT,
            file,
            batch: Batch::new(),
            body,
            end,
            lines: whole_lines,
            torn,
            behind: false,
            failed: None,
        };
        if is_new {
            journal.begin().map_err(|error| StoreError::io(&journal.path, error))?;
        } else if torn || unread > 0 || whole_lines > live {
            journal.compact(state);
        }
        Ok(journal)
    }

    /// Writes the header of a new file.
    fn begin(&mut self) -> std::io::Result<()> {
        self.cut(0)?;
        self.body = self.batch.add(&Header::new(self.format))?;
        self.batch.write(&self.file)?;
        self.end = self.body;
        Ok(())
    }
}
