//! Appends changes to the journal.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::lines::Batch;

/// A compaction is due when the garbage exceeds twice the live lines by this many lines.
const MAX_GARBAGE: usize = 10_000;

/// The interval for logging a file that can't be written, and for retrying a failed compaction.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) format: &'static str,
    pub(super) file: File,
    pub(super) batch: Batch,
    /// The offset of the end of the header.
    pub(super) body: u64,
    /// The offset of the end of the last whole line, where the next one is written.
    pub(super) end: u64,
    pub(super) lines: usize,
    /// There may be a partial line after `end`.
    pub(super) torn: bool,
    /// The file lacks a change, which only a compaction can add.
    pub(super) behind: bool,
    /// When an error was last logged.
    pub(super) failed: Option<Instant>,
}

impl Journal {
    /// Appends a change. If this fails, the store continues in memory.
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

    /// Removes all changes from the file.
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

    /// Truncates the file at this offset, and continues there.
    pub(super) fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.torn = false;
        Ok(())
    }

    /// Whether the file should be compacted. `live` is the number of lines that are still needed.
    pub(super) fn is_due(&self, live: usize) -> bool {
        let garbage = self.lines.saturating_sub(live);
        (self.behind || garbage > live.saturating_mul(2).saturating_add(MAX_GARBAGE)) && self.may_retry()
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Logs that the file can't be written, at most once a minute. The operating system's error quotes no secrets.
    pub(super) fn tell(&mut self, error: &io::Error) {
        if self.may_retry() {
            self.failed = Some(Instant::now());
            tracing::error!(
                path = %self.path.display(), %error,
                "a store's file can't be written: changes are lost at the next start unless writing succeeds before"
            );
        }
    }

    fn may_retry(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() >= RETRY_INTERVAL)
    }
}
