//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting what the calling thread asks of it.
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
    /// Allocations of this thread so far; a reallocation is one.
    #[must_use]
    pub fn allocations() -> u64 {
        ALLOCATIONS.get()
    }

    /// Bytes allocated by this thread less bytes given back by it.
    #[must_use]
    pub fn live_bytes() -> i64 {
        LIVE.get()
    }
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    LIVE.set(LIVE.get() + bytes);
}

/// No layout is larger than `isize::MAX`.
fn signed(size: usize) -> i64 {
    size as i64
}

// SAFETY: every call goes to the system's allocator as it came. The cells are const-initialized and need no
// destructor, so that reading them allocates nothing and works for as long as the thread does.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}
