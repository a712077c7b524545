//! A counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calling thread's allocations.
///
/// ```
/// use tower_clerk_benches::Counting;
///
/// #[global_allocator]
/// static ALLOCATOR: Counting = Counting;
///
/// let before = Counting::allocations();
/// drop(Box::new(1));
/// assert_eq!(Counting::allocations() - before, 1);
/// ```
#[derive(Debug)]
pub struct Counting;

impl Counting {
    /// Returns the number of this thread's allocations. A reallocation counts as one.
    #[must_use]
    pub fn allocations() -> u64 {
        ALLOCATIONS.get()
    }

    /// Returns the bytes allocated minus the bytes freed by this thread.
    #[must_use]
    pub fn live_bytes() -> i64 {
        LIVE.get()
    }
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    LIVE.set(LIVE.get() + bytes);
}

/// Doesn't overflow, because no layout is larger than `isize::MAX`.
fn signed(size: usize) -> i64 {
    size as i64
}

// SAFETY: every call is forwarded unchanged to the system's allocator. The thread-locals are const-initialized and
// need no destructor, so reading them doesn't allocate, and works until the thread ends.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}
