//! The walk over a list that Clerk gives by offset only.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// Entries of a page that the next one shows again.
const OVERLAP: u64 = 50;

/// The largest page of Clerk's lists, and so the way back when the list has shifted.
const PAGE: u64 = 500;

/// A walk over a list by offset, oldest entries first, in overlapping steps.
///
/// A deletion moves all later entries towards the beginning, and a plain walk would step over as many as were deleted. A
/// page must therefore show an entry of the page before: as the order is kept, nothing lies between them then. Otherwise
/// the walk goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OffsetWalk {
    offset: u64,
    /// The entries of the page before. Empty if the next page needn't show one of them.
    before: Vec<String>,
    is_done: bool,
}

impl OffsetWalk {
    /// The offset of the page to ask for, or `None` at the end.
    pub(crate) fn offset(&self) -> Option<u64> {
        (!self.is_done).then_some(self.offset)
    }

    /// Goes on from a page with these ids, and returns how many of them the page before didn't have. `None` if the page is of no
    /// use, since entries may lie before it.
    pub(crate) fn step<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>, is_last: bool) -> Option<u64> {
        let ids: Vec<&str> = ids.into_iter().collect();
        let before: HashSet<&str> = self.before.iter().map(String::as_str).collect();
        let shown_before = ids.iter().filter(|id| before.contains(*id)).count();
        if self.offset > 0 && !before.is_empty() && shown_before == 0 {
            self.offset = self.offset.saturating_sub(PAGE);
            return None;
        }
        let length = ids.len() as u64;
        let new = length - shown_before as u64;
        let overlap = OVERLAP.min(length / 2);
        self.before = if overlap == 0 { Vec::new() } else { ids.into_iter().map(str::to_owned).collect() };
        self.offset = self.offset.saturating_add(length - overlap);
        self.is_done = is_last;
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Walks over a list of numbers from which `deletions` take entries away between the pages.
    fn walk(length: u32, page: u64, deletions: &[Vec<u32>]) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let mut list: Vec<u32> = (0..length).collect();
        let mut seen = BTreeSet::new();
        let mut walk = OffsetWalk::default();
        let mut deletions = deletions.iter();
        while let Some(offset) = walk.offset() {
            let shown: Vec<u32> = list.iter().skip(offset as usize).take(page as usize).copied().collect();
            let ids: Vec<String> = shown.iter().map(u32::to_string).collect();
            if walk.step(ids.iter().map(String::as_str), (shown.len() as u64) < page).is_some() {
                seen.extend(shown);
            }
            for gone in deletions.next().into_iter().flatten() {
                list.retain(|entry| entry != gone);
            }
        }
        (seen, list.into_iter().collect())
    }

    #[test]
    fn y5_a_walk_by_offset_takes_the_list_in_overlapping_steps() {
        let (seen, list) = walk(1_203, 500, &[]);
        assert_eq!(seen, list);
    }

    #[test]
    fn y5_a_walk_goes_back_when_more_was_deleted_than_two_pages_share() {
        let gone = (0..400).collect();
        let (seen, list) = walk(2_000, 500, &[gone, (400..480).collect()]);
        assert!(seen.is_superset(&list));
    }

    proptest! {
        #[test]
        fn y5_no_entry_that_stays_is_stepped_over(
            length in 0u32..400,
            page in 1u64..60,
            deletions in prop::collection::vec(prop::collection::vec(0u32..400, 0..80), 0..12),
        ) {
            // A page of one entry can't overlap.
            let page = page.max(2);
            let (seen, list) = walk(length, page, &deletions);
            prop_assert!(seen.is_superset(&list));
        }
    }
}
