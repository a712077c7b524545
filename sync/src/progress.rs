//! The progress of a run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::kind::Kind;

/// A step of a backfill or a reconciliation that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A page of Clerk's list was read.
    Listed {
        /// The list.
        kind: Kind,
        /// Entries so far.
        entries: u64,
        /// Entries that Clerk said it has, at the beginning.
        of: u64,
    },
    /// Rows that Clerk's list didn't show are looked up by their ids.
    Confirming {
        /// The kind of the rows.
        kind: Kind,
        /// How many they are.
        rows: u64,
    },
    /// The reconciliation waits until it looks them up again.
    Waiting {
        /// How long.
        time: Duration,
    },
}

/// The function that is told.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Observer {
    pub(crate) fn new(observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        if let Some(observer) = &self.0 {
            observer(progress);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
