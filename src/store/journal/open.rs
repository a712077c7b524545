//! Opens a journal and replays it.

use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::lines::{Batch, Lines, Piece};
use super::log::Journal;
use super::{State, place};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::sync::lock;

/// Must be raised with every change that an older reader would misread.
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
    /// Opens a file and replays its changes. A file that is not a journal of this state is left unchanged.
    pub(super) fn open<S: State>(path: &Path, state: &Mutex<S>) -> Result<Self, StoreError> {
        // Make the path absolute, since the program may change its directory before the next compaction.
        let path = std::path::absolute(path).map_err(|error| StoreError::io(path, error))?;
        let failed = |error| StoreError::io(&path, error);
        let file = place::open(&path)?;

        let mut lines = Lines::new(&file);
        let is_new = match lines.next().map_err(failed)? {
            // An empty file, or one whose writer was killed before it finished the first line.
            None => true,
            Some(Piece::Torn(piece)) if Header::begins_with(S::FORMAT, piece) => true,
            Some(Piece::Line(line)) if Header::is_at(S::FORMAT, line) => false,
            Some(_) => return Err(StoreError::new(StoreErrorKind::Format, &path)),
        };
        place::tighten(&path, &file).map_err(failed)?;
        // A crash during a compaction may have left this file.
        let _ = place::remove(&place::compaction_path(&path));

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
            // A power failure may damage a file. That must not keep the program from starting.
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
