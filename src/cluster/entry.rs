//! Changes as entries of the shared log.

use serde::{Deserialize, Serialize};

use super::change::Change;

/// The id of an entry. Random, so that the log of another server has none of this one's.
pub(crate) type EntryId = [u8; 16];

/// A change with its time, in milliseconds since the Unix epoch by Clerk's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(skip)]
    pub(crate) id: EntryId,
    #[serde(rename = "t")]
    pub(crate) at: u64,
    #[serde(rename = "c")]
    pub(crate) change: Change,
}

impl Entry {
    /// # Panics
    ///
    /// Panics if the system provides no random bytes: without them TLS would not be safe either.
    pub(crate) fn new(change: Change, at: u64) -> Self {
        let mut id = EntryId::default();
        aws_lc_rs::rand::fill(&mut id).expect("the system provides random bytes");
        Self { id, at, change }
    }

    /// The bytes to be sealed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // The types above can't fail to be JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(id: EntryId, bytes: &[u8]) -> Option<Self> {
        Some(Self { id, ..serde_json::from_slice(bytes).ok()? })
    }
}
