//! Asking the system for memory that is cheap to touch.

/// Lets the system back a large, not yet written buffer with large pages: a fault for every 2 MB instead of every
/// 4 kB, and fewer address translations when it is read in no order. Changes nothing a program can see.
pub(crate) fn prefer_large_pages<T>(buffer: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        /// A multiple of every page size in use.
        const PAGE: usize = 1 << 16;
        let bytes = size_of_val(buffer);
        let start = buffer.as_mut_ptr().cast::<libc::c_void>();
        let skipped = start.align_offset(PAGE);
        if skipped < bytes {
            // SAFETY: the range lies within the buffer, and the advice concerns how its pages are backed, not
            // what they hold. Where the system does not take it, nothing happens.
            unsafe { libc::madvise(start.byte_add(skipped), bytes - skipped, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = buffer;
}
