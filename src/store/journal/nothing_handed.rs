//! Nothing is handed in where a file's owner, and what others may do with it, can't be told for sure.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub(in crate::store) fn hand_in(_: &Path, _: &'static str, _: &impl Serialize) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

pub(in crate::store) struct Tray;

impl Tray {
    pub(super) fn new(_: PathBuf, _: &File) -> io::Result<Self> {
        Ok(Self)
    }

    pub(in crate::store) fn collect_if_due(&self, _: &str, _: impl FnMut(&[u8]) -> bool) {}

    pub(in crate::store) fn collect(&self, _: &str, _: impl FnMut(&[u8]) -> bool) {}
}
