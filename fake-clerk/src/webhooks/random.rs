//! An order that a seed decides, so that a failed test can be repeated.

/// Shuffles in place: Fisher and Yates, by SplitMix64.
pub(crate) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The remainder fits, as it is less than an index.
        let other = usize::try_from(mixed % (last as u64 + 1)).unwrap_or_default();
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_the_order_and_all_orders_occur() {
        let order = |seed| {
            let mut items = [1, 2, 3, 4];
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(order(7), order(7));
        let orders: BTreeSet<_> = (0..500).map(order).collect();
        assert_eq!(orders.len(), 24);
    }
}
