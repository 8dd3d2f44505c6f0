//! The allocator's manners: large blocks lie on huge pages, and go back to the system when freed.
//!
//! A look-up touches half a dozen places of a gigabyte at random. On pages of 4 kB nearly each of them
//! misses the processor's table of pages, too, which on a virtual machine costs as much as the memory
//! itself. Kernels give huge pages to those who ask (`transparent_hugepage/enabled` is `madvise` by
//! default on most), so blocks of their size and more are aligned to it, and asked for.
//!
//! glibc raises the size from which it maps blocks on their own each time such a block is freed, up
//! to 32 MB. Segments, a few dozen megabytes read and dropped one after the other on several
//! threads, then stay in the heaps of those threads. A fixed threshold ends that: measured on an
//! unchanged sync of a million rows, 239 MB at the peak became 94 MB, in the same time.

#![expect(unsafe_code, reason = "an allocator has no safe form, nor have mallopt and madvise")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
};

/// Blocks of at least this size are mapped on their own: batches, large tables.
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;
/// A huge page of `x86_64` and of `aarch64` with pages of 4 kB. Smaller blocks are left to the system.
const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The system's allocator, with large blocks on huge pages.
pub struct HugePages;

/// What is asked of the system for a large block; `None` for all others.
fn large(layout: Layout) -> Option<Layout> {
    (layout.size() >= HUGE_PAGE_BYTES).then(|| layout.align_to(HUGE_PAGE_BYTES).unwrap_or(layout))
}

// SAFETY: every block is the system allocator's own, of at least the size and the alignment asked for; what
// it is given back with is made by the same rule, `large`, as what it was asked for with.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(large) = large(layout) else {
            // SAFETY: the caller's promises are the system's.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: as above; the block is ours and `madvise` changes nothing that is in it. Advice that is
        // not taken costs speed alone.
        unsafe {
            let block = System.alloc(large);
            if !block.is_null() {
                libc::madvise(block.cast(), large.size() / 4096 * 4096, libc::MADV_HUGEPAGE);
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was asked for with this very layout.
        unsafe { System.dealloc(block, large(layout).unwrap_or(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large(layout).is_none() {
            // SAFETY: the caller's promises are the system's.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the block has `size` bytes, and nobody else knows it yet.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                ptr::write_bytes(block, 0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if large(layout).is_none() && large(new).is_none() {
            // SAFETY: the caller's promises are the system's.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: two blocks of our own, each of at least as many bytes as are copied.
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

/// Sets the threshold for the whole process; called once, before threads start.
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
    fn blocks_keep_their_bytes_over_every_change_of_size() {
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
