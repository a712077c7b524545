//! Records with their seals: what the three kinds of records have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::millis;
use super::records::{Header, If, Name, NotWritten, Records, Row, Targets, Wait};
use super::sealing::Sealer;
use crate::limits::WarnThrottle;

pub(super) struct Vault {
    pub(super) records: Box<dyn Records>,
    pub(super) sealer: Sealer,
    /// The revision given out last.
    revision: AtomicU64,
    unopenable: AtomicU64,
    warnings: WarnThrottle,
}

impl Vault {
    pub(super) fn new(records: Box<dyn Records>, sealer: Sealer) -> Arc<Self> {
        Arc::new(Self {
            records,
            sealer,
            revision: AtomicU64::new(0),
            unopenable: AtomicU64::new(0),
            warnings: WarnThrottle::default(),
        })
    }

    /// A record that the seal confirms. One that it doesn't is absent: it was forged, damaged, or written by a later
    /// version of this crate.
    pub(super) async fn get(&self, name: Name) -> Option<(Header, Zeroizing<Vec<u8>>)> {
        let row = self.records.get(name).await.filter(|row| row.name == name)?;
        Some((row.header, self.open(&row)?))
    }

    pub(super) fn open(&self, row: &Row) -> Option<Zeroizing<Vec<u8>>> {
        let opened = self.sealer.open(row);
        if opened.is_none() {
            let count = self.unopenable.fetch_add(1, Ordering::Relaxed) + 1;
            if self.warnings.is_due("unopenable", Instant::now()) {
                tracing::warn!(
                    kind = ?row.header.kind,
                    count,
                    "a record in the store can't be opened and is ignored: it was damaged or changed, or another \
                     instance or a later version wrote it"
                );
            }
        }
        opened
    }

    pub(super) fn put(
        &self,
        name: Name,
        header: Header,
        value: Option<Zeroizing<Vec<u8>>>,
        condition: If,
    ) -> Wait<Result<(), NotWritten>> {
        let Some(row) = value.and_then(|value| self.sealer.seal(name, header, &value)) else {
            return Box::pin(std::future::ready(Err(NotWritten)));
        };
        self.records.put(row, condition)
    }

    pub(super) fn delete(&self, targets: Targets) -> Wait<()> {
        let taken = self.records.take(targets);
        Box::pin(async move { _ = taken.await })
    }

    /// A revision that this process has never used, and that another one is unlikely to have used for this name: the
    /// time in milliseconds, or one more than the last. A record that was removed and written again gets a new one.
    pub(super) fn revision(&self, condition: If) -> u64 {
        let after = if let If::Revision(stored) = condition { stored.saturating_add(1) } else { 0 };
        let least = after.max(millis(SystemTime::now()));
        let last = self.revision.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(least.max(last.saturating_add(1)))
        });
        least.max(last.unwrap_or_default().saturating_add(1))
    }

    /// How often a record could not be opened.
    pub(super) fn unopenable(&self) -> u64 {
        self.unopenable.load(Ordering::Relaxed)
    }
}
