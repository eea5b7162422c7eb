//! Asking the system for memory: what a caller's sizes ask for may not be there.
//!
//! A kernel must not end the process of its caller where an array does not fit. Whatever is as long as the rows, columns,
//! centers or classes that are handed over is therefore asked for here. Where there is no room the work unwinds, silently
//! and through the team's threads, to [`guarded`], which makes an [`Error::OutOfMemory`] of it.

use crate::{Error, Result};
use std::alloc::{Layout, alloc_zeroed};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes that are left to each thread for the small things beside, which are not asked for here.
const HEADROOM: usize = 4 << 20;

/// From so many bytes on an array may use up what is left, and it is looked at whether [`HEADROOM`] is.
const LARGE: usize = 1 << 20;

/// The bytes there was no room for.
struct OutOfMemory(usize);

/// Runs a kernel, and returns an error where memory runs out.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let run = || {
        leave_headroom(1);
        work()
    };
    // What the work was changing is dropped with it.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| match panic.downcast_ref() {
        Some(OutOfMemory(bytes)) => Err(Error::OutOfMemory { bytes: *bytes }),
        None => resume_unwind(panic),
    })
}

#[cold]
fn out_of_memory(bytes: usize) -> ! {
    // Not a panic: nothing is printed.
    resume_unwind(Box::new(OutOfMemory(bytes)))
}

/// Unwinds where there is no room for the small things of so many threads.
pub(crate) fn leave_headroom(threads: usize) {
    let bytes = HEADROOM * threads;
    if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        out_of_memory(bytes);
    }
}

#[cold]
fn grow<T>(buffer: &mut Vec<T>, more: usize, exact: bool) {
    let room = if exact {
        buffer.try_reserve_exact(more)
    } else {
        buffer.try_reserve(more)
    };
    let bytes = more.saturating_mul(size_of::<T>());
    if room.is_err() {
        out_of_memory(bytes);
    }
    if bytes >= LARGE {
        leave_headroom(1);
    }
}

/// Makes room for `more` values.
#[inline]
pub(crate) fn reserve<T>(buffer: &mut Vec<T>, more: usize) {
    if buffer.capacity() - buffer.len() < more {
        grow(buffer, more, false);
    }
}

/// An empty buffer with room for `len` values.
pub(crate) fn with_room<T>(len: usize) -> Vec<T> {
    let mut buffer = Vec::new();
    grow(&mut buffer, len, true);
    buffer
}

/// `len` times the same value; where that is zero, [`zeros`] is faster.
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut buffer = with_room(len);
    buffer.resize(len, value);
    buffer
}

/// The values of an iterator that knows how many they are.
pub(crate) fn collected<T>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut buffer = with_room(values.size_hint().0);
    buffer.extend(values);
    buffer
}

/// The two halves of the pairs of an iterator that knows how many they are.
pub(crate) fn unzipped<A, B>(pairs: impl Iterator<Item = (A, B)>) -> (Vec<A>, Vec<B>) {
    let len = pairs.size_hint().0;
    let (mut first, mut second) = (with_room(len), with_room(len));
    for (a, b) in pairs {
        first.push(a);
        second.push(b);
    }
    (first, second)
}

/// [`Vec::resize`].
#[inline]
pub(crate) fn resize<T: Clone>(buffer: &mut Vec<T>, len: usize, value: T) {
    reserve(buffer, len.saturating_sub(buffer.len()));
    buffer.resize(len, value);
}

/// [`Vec::extend_from_slice`].
#[inline]
pub(crate) fn extend<T: Clone>(buffer: &mut Vec<T>, values: &[T]) {
    reserve(buffer, values.len());
    buffer.extend_from_slice(values);
}

/// [`Vec::push`].
#[inline]
pub(crate) fn push<T>(buffer: &mut Vec<T>, value: T) {
    reserve(buffer, 1);
    buffer.push(value);
}

/// Numbers of which all bits zero is the zero.
///
/// # Safety
///
/// All bits zero must be a valid value of the type.
pub(crate) unsafe trait Zero: Copy {}

// SAFETY: zero, of all of them, has no bit set.
unsafe impl Zero for f32 {}
// SAFETY: as above.
unsafe impl Zero for f64 {}
// SAFETY: as above.
unsafe impl Zero for i8 {}
// SAFETY: as above.
unsafe impl Zero for u8 {}
// SAFETY: as above.
unsafe impl Zero for u32 {}
// SAFETY: as above.
unsafe impl Zero for u64 {}
// SAFETY: as above.
unsafe impl Zero for usize {}
// SAFETY: an array is its values and nothing else.
unsafe impl<T: Zero, const N: usize> Zero for [T; N] {}

/// `len` zeros, which the system has ready: no page is touched before it is used.
pub(crate) fn zeros<T: Zero>(len: usize) -> Vec<T> {
    let Ok(layout) = Layout::array::<T>(len) else {
        out_of_memory(len.saturating_mul(size_of::<T>()));
    };
    if layout.size() == 0 {
        return Vec::new();
    }
    // SAFETY: the layout has a size.
    let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if start.is_null() {
        out_of_memory(layout.size());
    }
    #[allow(clippy::same_length_and_capacity)] // all of the buffer is written: by zeros
    // SAFETY: just allocated for `len` values by the allocator that `Vec` uses, and all bits zero is a value.
    let buffer = unsafe { Vec::from_raw_parts(start, len, len) };
    if layout.size() >= LARGE {
        leave_headroom(1);
    }
    buffer
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Team;
    use crate::{Context, Control, Simd};

    #[test]
    fn what_does_not_fit_is_an_error_from_every_thread() {
        let control = Control::default();
        let context = Context {
            simd: Simd::best(),
            threads: 3,
            control: &control,
        };
        let asked: [fn(); 5] = [
            || drop(zeros::<f32>(1 << 60)),
            || drop(zeros::<[f32; 32]>(usize::MAX)),
            || drop(filled(1u8, usize::MAX / 2)),
            || drop(collected((0..usize::MAX / 64).map(|i| i as u64))),
            || resize(&mut vec![1u64], usize::MAX / 16, 0),
        ];
        for ask in asked {
            let found = guarded(|| {
                Team::with(&context, |team| {
                    team.each(9, |i| {
                        if i == 5 {
                            ask();
                        }
                    })
                })
            });
            assert!(matches!(found, Err(Error::OutOfMemory { .. })), "{found:?}");
        }
        assert_eq!(guarded(|| Ok(zeros::<u32>(3))), Ok(vec![0, 0, 0]));
        assert_eq!(zeros::<f32>(0), Vec::<f32>::new());
    }

    #[test]
    fn a_panic_stays_a_panic() {
        let found = catch_unwind(|| guarded(|| -> Result<()> { panic!("other") }));
        assert!(found.is_err());
    }
}
