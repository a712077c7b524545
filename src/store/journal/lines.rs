//! Lines in and out through buffers that never grow, since growing leaves copies behind, and that are wiped.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

/// The longest line: the most text that an entry may hold, each byte of it escaped, and what stands around it.
pub(super) const MAX_LINE: usize = 128 * 1024;

/// What stands next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// What is longer than any line of ours.
    TooLong,
    /// What follows the last line: a line that was cut off as it was written.
    Torn(&'a [u8]),
}

/// The lines of a file, one after the other.
pub(super) struct Lines<'f> {
    file: &'f File,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    /// Up to where the file is whole lines.
    whole: u64,
}

impl<'f> Lines<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self { file, buffer: Zeroizing::new(vec![0; MAX_LINE]), start: 0, end: 0, whole: 0 }
    }

    /// Up to where the file has been whole lines so far.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let mut passed = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(length) = unread.iter().position(|&byte| byte == b'\n') {
                let line = self.start..self.start + length;
                self.start += length + 1;
                self.whole += passed + length as u64 + 1;
                let is_ours = passed == 0;
                return Ok(Some(if is_ours { Piece::Line(&self.buffer[line]) } else { Piece::TooLong }));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buffer.len() {
                passed += self.end as u64;
                self.end = 0;
            }
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) if self.end == 0 && passed == 0 => return Ok(None),
                Ok(0) => {
                    let torn = ..std::mem::take(&mut self.end);
                    return Ok(Some(if passed == 0 {
                        Piece::Torn(&self.buffer[torn])
                    } else {
                        Piece::TooLong
                    }));
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Lines on their way into a file.
pub(super) struct Batch(Zeroizing<Vec<u8>>);

impl Batch {
    pub(super) fn new() -> Self {
        // As much as there can be before it has to be written, and one line more: it never grows.
        Self(Zeroizing::new(Vec::with_capacity(2 * MAX_LINE)))
    }

    /// Adds a line, and returns its length.
    pub(super) fn add(&mut self, line: &impl Serialize) -> io::Result<u64> {
        let before = self.0.len();
        if let Err(error) = serde_json::to_writer(&mut *self.0, line) {
            self.0.truncate(before);
            return Err(error.into());
        }
        self.0.push(b'\n');
        debug_assert!(self.0.len() - before <= MAX_LINE);
        Ok((self.0.len() - before) as u64)
    }

    /// Whether it has to be written before anything more is added.
    pub(super) fn is_due(&self) -> bool {
        self.0.len() > MAX_LINE
    }

    /// Hands all of it to the system, and forgets it, whatever comes of that.
    pub(super) fn write(&mut self, mut file: &File) -> io::Result<()> {
        let written = file.write_all(&self.0);
        self.forget();
        written
    }

    /// Wipes what has not been written.
    pub(super) fn forget(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }
}
