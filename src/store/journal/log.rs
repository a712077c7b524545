//! The changes, written down one by one.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::lines::Batch;

/// Garbage that is put up with, besides twice as much of it as there is of use.
const MAX_GARBAGE: usize = 10_000;

/// How often a file that can't be used is logged, and a compaction that failed is tried again.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) format: &'static str,
    pub(super) file: File,
    pub(super) batch: Batch,
    /// Where the header ends.
    pub(super) body: u64,
    /// Where the last whole line ends, and the next one goes.
    pub(super) end: u64,
    pub(super) lines: usize,
    /// There may be something behind `end`.
    pub(super) torn: bool,
    /// A change is not in the file, so only a compaction makes it right again.
    pub(super) behind: bool,
    /// When something last went wrong that was logged.
    pub(super) failed: Option<Instant>,
}

impl Journal {
    /// Notes a change down. Where that fails, memory goes on without the file.
    pub(super) fn append(&mut self, line: &impl Serialize) {
        match self.try_append(line) {
            Ok(length) => {
                self.end += length;
                self.lines += 1;
            }
            Err(error) => {
                self.torn = true;
                self.behind = true;
                self.tell(&error);
            }
        }
    }

    fn try_append(&mut self, line: &impl Serialize) -> io::Result<u64> {
        if self.torn {
            self.cut(self.end)?;
        }
        let length = self.batch.add(line)?;
        self.batch.write(&self.file)?;
        Ok(length)
    }

    /// Takes all changes back.
    pub(super) fn clear(&mut self) {
        (self.end, self.lines) = (self.body, 0);
        match self.cut(self.body) {
            Ok(()) => self.behind = false,
            Err(error) => {
                self.torn = true;
                self.behind = true;
                self.tell(&error);
            }
        }
    }

    /// Leaves nothing behind this, and goes on there.
    pub(super) fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.torn = false;
        Ok(())
    }

    /// Whether the file should be written anew, of which so many lines are of use.
    pub(super) fn is_due(&self, live: usize) -> bool {
        let garbage = self.lines.saturating_sub(live);
        (self.behind || garbage > live.saturating_mul(2).saturating_add(MAX_GARBAGE))
            && self.is_patience_over()
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Logs that the file can't be written to, once a minute. What the system says holds nothing of ours.
    pub(super) fn tell(&mut self, error: &io::Error) {
        if self.is_patience_over() {
            self.failed = Some(Instant::now());
            tracing::error!(
                path = %self.path.display(), %error,
                "a store's file can't be written to: what changes is lost at the next start, unless that ends before"
            );
        }
    }

    fn is_patience_over(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() >= PATIENCE)
    }
}
