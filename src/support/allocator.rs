//! The global allocator: large blocks use huge pages and return to the system when freed.
//!
//! A look-up reads about six random places of a gigabyte. With 4 kB pages nearly every one misses the TLB,
//! which on a virtual machine costs as much as the memory access itself. Most kernels give huge pages on
//! request only (`transparent_hugepage/enabled` is `madvise`), so blocks of at least that size are aligned to
//! it and requested with `madvise`.
//!
//! glibc raises its mmap threshold each time a mapped block is freed, up to 32 MB. Segments of a few dozen
//! megabytes, read and dropped on several threads, then stay in the heaps of those threads. A fixed threshold
//! prevents that: the peak of an unchanged sync of a million rows went from 239 MB to 94 MB, in the same time.

#![expect(unsafe_code, reason = "an allocator has no safe form, nor have mallopt and madvise")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
};

/// Blocks of at least this size get a mapping of their own: batches, large tables.
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;
/// A huge page of `x86_64` and of `aarch64` with pages of 4 kB. Smaller blocks are left to the system.
const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The system's allocator, with large blocks on huge pages.
pub struct HugePages;

/// The layout requested from the system for a large block; `None` for all others.
fn large(layout: Layout) -> Option<Layout> {
    (layout.size() >= HUGE_PAGE_BYTES).then(|| layout.align_to(HUGE_PAGE_BYTES).unwrap_or(layout))
}

// SAFETY: every block comes from the system allocator, with at least the requested size and alignment. The
// layout used to free a block is computed by the same function, `large`, as the one used to allocate it.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(large) = large(layout) else {
            // SAFETY: the caller upholds the contract of the system allocator.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: as above; `madvise` does not change the block's content. Ignored advice costs speed only.
        unsafe {
            let block = System.alloc(large);
            if !block.is_null() {
                libc::madvise(block.cast(), large.size() / 4096 * 4096, libc::MADV_HUGEPAGE);
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was allocated with this layout.
        unsafe { System.dealloc(block, large(layout).unwrap_or(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large(layout).is_none() {
            // SAFETY: the caller upholds the contract of the system allocator.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the block has `size` bytes, and no other code has a pointer to it yet.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                ptr::write_bytes(block, 0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that `size` fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if large(layout).is_none() && large(new).is_none() {
            // SAFETY: the caller upholds the contract of the system allocator.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: both blocks have at least as many bytes as are copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Sets the threshold for the whole process. Called once, before threads start.
pub fn return_large_blocks() {
    // SAFETY: `mallopt` is called before other threads exist, with a documented parameter.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_their_bytes_across_reallocations() {
        let sizes = [
            1,
            4096,
            HUGE_PAGE_BYTES - 1,
            HUGE_PAGE_BYTES,
            3 * HUGE_PAGE_BYTES + 5,
            100,
            HUGE_PAGE_BYTES * 2,
            7,
        ];
        // SAFETY: one block, always given back with the layout that it was last asked for with.
        unsafe {
            let mut layout = Layout::from_size_align(16, 8).unwrap();
            let mut block = HugePages.alloc_zeroed(layout);
            let mut kept = layout.size();
            for size in sizes {
                assert!((0..kept).all(|at| *block.add(at) == at as u8 || *block.add(at) == 0));
                for at in 0..layout.size() {
                    *block.add(at) = at as u8;
                }
                kept = layout.size().min(size);
                block = HugePages.realloc(block, layout, size);
                layout = Layout::from_size_align(size, 8).unwrap();
                assert!((0..kept).all(|at| *block.add(at) == at as u8), "{size}");
                assert!(size < HUGE_PAGE_BYTES || (block as usize).is_multiple_of(HUGE_PAGE_BYTES));
            }
            HugePages.dealloc(block, layout);
            let layout = Layout::from_size_align(HUGE_PAGE_BYTES + 9, 1).unwrap();
            let block = HugePages.alloc_zeroed(layout);
            assert!((0..layout.size()).all(|at| *block.add(at) == 0));
            HugePages.dealloc(block, layout);
        }
    }
}
