//! The allocator's manners: large blocks go back to the system when they are freed.
//!
//! glibc raises the size from which it maps blocks on their own each time such a block is freed, up
//! to 32 MB. Segments, a few dozen megabytes read and dropped one after the other on several
//! threads, then stay in the heaps of those threads. A fixed threshold ends that: measured on an
//! unchanged sync of a million rows, 239 MB at the peak became 94 MB, in the same time.

/// Blocks of at least this size are mapped on their own: segments, batches, large tables.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;

/// Sets the threshold for the whole process; called once, before threads start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "mallopt has no safe form; it takes two integers and touches no memory of ours"
)]
pub fn return_large_blocks() {
    // SAFETY: `mallopt` is called before other threads exist, with a documented parameter.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

/// Other allocators have no such habit.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn return_large_blocks() {}
