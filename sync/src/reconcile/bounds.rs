//! When a reconciliation gives up before it deletes (rule Y6).

/// Deletions of one kind that a reconciliation makes at any size of the mirror.
const ALWAYS_ALLOWED: u64 = 10;

/// The part of the mirror that a reconciliation deletes at most: a hundredth.
const LARGEST_PART: u64 = 100;

/// The most rows of one kind that a reconciliation deletes unless it is forced.
pub(super) fn most_deletions(rows: u64) -> u64 {
    ALWAYS_ALLOWED.max(rows / LARGEST_PART)
}

/// Whether a scan has found less than the list should hold, by the counts that Clerk gave before and after it.
///
/// The smaller count is right: entries that were deleted during the scan are missing from the second one, and entries that
/// were added after its last page from the first one.
pub(super) fn is_short(seen: u64, count_before: u64, count_after: u64) -> bool {
    seen < count_before.min(count_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y6_ten_rows_or_a_hundredth_may_be_deleted() {
        for (rows, most) in [(0, 10), (1, 10), (1_000, 10), (1_099, 10), (1_100, 11), (1_000_000, 10_000)] {
            assert_eq!(most_deletions(rows), most, "{rows}");
        }
    }

    #[test]
    fn y6_a_scan_is_short_if_both_counts_are_larger() {
        assert!(is_short(9, 10, 10));
        assert!(!is_short(9, 10, 9), "one was deleted");
        assert!(!is_short(10, 10, 11), "one was added");
        assert!(!is_short(0, 0, 0));
    }
}
