//! The public snapshot of what a replica shares.

/// The numbers of what a replica shares with others, in [`Stats::replica`](crate::stats::Stats::replica).
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaStats {
    /// Whether it can't use Redis at present, so that nothing is shared.
    pub is_alone: bool,
    /// The replicas behind the same address that were there a moment ago, with those that have been silent for less than ten
    /// minutes. As many as are expected, until Redis is reached for the first time.
    pub replicas: u32,
    /// Revocations and lifted refusals that the other replicas can't read of yet. They are lost if this process ends, so
    /// alert if it stays above 0.
    pub undelivered_changes: usize,
    /// Revocations and lifted refusals of the last 25 h that are kept, those of other replicas among them: at most 100,000.
    pub known_changes: usize,
    /// How often a change in Redis could not be opened and was ignored, since it was forged or damaged, is under another key,
    /// or was written by a later version.
    pub unopenable_changes: u64,
}
