//! What every kernel is told besides its data: the SIMD level, the threads, and how to stop or report.

use crate::{Error, Result, Simd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The line between a running kernel and whoever waits for it. Both ends may be on different threads.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    done: AtomicUsize,
}

impl Control {
    /// Asks the kernel to end with [`Error::Cancelled`] as soon as it can.
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the kernel has been asked to end.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// [`Error::Cancelled`] once the kernel has been asked to end. Polled every few milliseconds of work.
    pub fn check(&self) -> Result<()> {
        if self.cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Reports how many items of the work are done.
    pub fn report(&self, done: usize) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// The items done so far.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

/// How one kernel call runs.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instructions to use.
    pub simd: Simd,
    /// Threads, the caller's included; at least 1.
    pub threads: usize,
    /// Cancellation and progress.
    pub control: &'a Control,
}
