//! A team of threads that belongs to one kernel call.
//!
//! Nothing outlives the call, so there is nothing a fork could break and no global pool to oversubscribe. Work is
//! handed out in chunks by an atomic counter; results never depend on who took which.

use crate::{Context, Control, Error, Result, memory};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The environment variable that sets the number of threads where the call does not.
pub const SETTING: &str = "PNI_FAST_NUM_THREADS";

static FORKED: AtomicBool = AtomicBool::new(false);

/// Called in a forked child: its siblings share the cores, so kernels default to one thread there. Flips an
/// atomic and nothing else, as little else is allowed between fork and exec.
pub extern "C" fn after_fork_in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// The number of threads: the call's own `requested`, else the `setting`, else 1 in a forked child, else every
/// core this process may use. More than [`most`] are not asked for: they would only wait for each other.
pub fn resolve(requested: Option<usize>, setting: Option<&str>) -> Result<usize> {
    if let Some(threads) = requested {
        return match threads {
            0 => Err(Error::invalid("num_threads", "None or an int of at least 1", 0)),
            _ => Ok(capped(threads)),
        };
    }
    if let Some(text) = setting.filter(|text| !text.is_empty()) {
        return match text.parse() {
            Ok(threads) if threads > 0 => Ok(capped(threads)),
            _ => Err(Error::invalid(SETTING, "an integer of at least 1", text)),
        };
    }
    if FORKED.load(Ordering::Relaxed) {
        return Ok(1);
    }
    Ok(cores())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// So many threads are never too many.
const FEW: usize = 16;

/// The most threads a call starts: four for each core this process may use, and [`FEW`] on any machine.
#[must_use]
pub fn most() -> usize {
    (4 * cores()).max(FEW)
}

/// Cores are counted only where it matters: that reads files of the system.
fn capped(threads: usize) -> usize {
    if threads <= FEW { threads } else { threads.min(most()) }
}

type Job<'a> = &'a (dyn Fn() + Sync);

#[derive(Default)]
struct Board {
    job: Option<Job<'static>>,
    quit: bool,
    panic: Option<Box<dyn Any + Send>>,
}

/// The threads of one kernel call; its methods are called from the thread that made it.
pub struct Team<'a> {
    control: &'a Control,
    workers: AtomicUsize,
    /// Counts the jobs posted.
    round: AtomicUsize,
    busy: AtomicUsize,
    board: Mutex<Board>,
    bell: Condvar,
}

/// Spins this long (some 10 µs) before it sleeps: the next job often follows at once.
const SPINS: usize = 4_000;

impl Team<'_> {
    /// Runs `work` with a team as `context` says, and ends the team's threads afterwards.
    pub fn with<R>(context: &Context<'_>, work: impl FnOnce(&Team<'_>) -> R) -> R {
        let team = Team {
            control: context.control,
            workers: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            board: Mutex::default(),
            bell: Condvar::new(),
        };
        std::thread::scope(|scope| {
            let _quit = Quit(&team);
            for _ in 1..context.threads {
                // A process out of threads goes on with those it has.
                let builder = std::thread::Builder::new().name("pni-fast".into());
                if builder.spawn_scoped(scope, || team.serve()).is_err() {
                    break;
                }
                team.workers.fetch_add(1, Ordering::Relaxed);
            }
            if context.threads > 1 {
                // Their stacks have taken of it.
                memory::leave_headroom(team.threads());
            }
            work(&team)
        })
    }

    /// Threads at work, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.load(Ordering::Relaxed) + 1
    }

    /// The call's cancellation and progress.
    pub fn control(&self) -> &Control {
        self.control
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // The board is only ever assigned to, so a panic elsewhere cannot leave it half changed.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `job` once on every thread of the team and returns when all have finished.
    pub fn run(&self, job: &(dyn Fn() + Sync)) {
        let workers = self.workers.load(Ordering::Relaxed);
        if workers == 0 {
            return job();
        }
        // SAFETY: only the lifetime changes. The wait below ends after every worker has left the job and the
        // board has dropped it, panics included, so no worker sees it after this call.
        let posted = unsafe { std::mem::transmute::<Job<'_>, Job<'static>>(job) };
        self.busy.store(workers, Ordering::Relaxed);
        let mut board = self.board();
        board.job = Some(posted);
        // Under the lock, or a worker between its check and its sleep would miss the bell.
        self.round.fetch_add(1, Ordering::Release);
        drop(board);
        self.bell.notify_all();
        let own = catch_unwind(AssertUnwindSafe(job));
        let mut spins = 0;
        while self.busy.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let mut board = self.board();
        board.job = None;
        // Taken in any case: a later job must not raise it.
        let theirs = board.panic.take();
        if let Some(panic) = own.err().or(theirs) {
            drop(board);
            resume_unwind(panic);
        }
    }

    fn serve(&self) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            while self.round.load(Ordering::Acquire) == seen && spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            }
            let mut board = self.board();
            while self.round.load(Ordering::Acquire) == seen && !board.quit {
                board = self.bell.wait(board).unwrap_or_else(PoisonError::into_inner);
            }
            if board.quit {
                return;
            }
            seen += 1;
            let job = board.job;
            drop(board);
            if let Some(job) = job
                && let Err(panic) = catch_unwind(AssertUnwindSafe(job))
            {
                self.board().panic = Some(panic);
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }

    /// Calls `work(i)` for every `i < count`, each once, on all threads. Stops early when cancelled.
    pub fn each(&self, count: usize, work: impl Fn(usize) + Sync) -> Result<()> {
        let next = AtomicUsize::new(0);
        let job = || {
            while !self.control.cancelled() {
                let item = next.fetch_add(1, Ordering::Relaxed);
                if item >= count {
                    break;
                }
                work(item);
            }
        };
        if count > 1 {
            self.run(&job);
        } else {
            job();
        }
        self.control.check()
    }

    /// Calls `work(first, part)` for consecutive parts of `items`, `size` long (the last may be shorter), where
    /// `first` is the part's place in `items` divided by `size`.
    pub fn each_chunk<T: Send>(
        &self,
        items: &mut [T],
        size: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<()> {
        let parts = memory::collected(items.chunks_mut(size).map(|part| Mutex::new(Some(part))));
        self.each(parts.len(), |i| {
            if let Some(part) = parts[i].lock().unwrap_or_else(PoisonError::into_inner).take() {
                work(i, part);
            }
        })
    }
}

/// Sends the workers home even when the work panics.
struct Quit<'a, 'b>(&'a Team<'b>);

impl Drop for Quit<'_, '_> {
    fn drop(&mut self) {
        self.0.board().quit = true;
        self.0.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simd;

    fn context(threads: usize, control: &Control) -> Context<'_> {
        Context {
            simd: Simd::best(),
            threads,
            control,
        }
    }

    #[test]
    fn every_item_is_done_once() {
        let control = Control::default();
        for threads in [1, 2, 5] {
            Team::with(&context(threads, &control), |team| {
                for round in 0..200 {
                    let mut items = vec![0usize; round];
                    team.each_chunk(&mut items, 3, |first, part| {
                        for (i, item) in part.iter_mut().enumerate() {
                            *item += first * 3 + i + 1;
                        }
                    })
                    .unwrap();
                    assert!(items.iter().enumerate().all(|(i, item)| *item == i + 1));
                }
            });
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_survives() {
        let control = Control::default();
        Team::with(&context(3, &control), |team| {
            let failed = catch_unwind(AssertUnwindSafe(|| team.each(9, |i| assert!(i != 5, "item five"))));
            assert!(failed.is_err());
            assert!(team.each(9, |_| ()).is_ok());
            // When all of them panic, nothing is left for the next job to raise.
            for _ in 0..50 {
                let failed = catch_unwind(AssertUnwindSafe(|| team.run(&|| panic!("every thread"))));
                assert!(failed.is_err());
                assert!(team.each(9, |_| ()).is_ok());
            }
        });
    }

    #[test]
    fn cancelling_ends_the_work() {
        let control = Control::default();
        let result = Team::with(&context(2, &control), |team| team.each(1_000_000, |_| control.cancel()));
        assert_eq!(result, Err(Error::Cancelled));
    }

    #[test]
    fn the_number_of_threads_follows_call_then_setting() {
        assert_eq!(resolve(Some(3), Some("5")), Ok(3));
        assert_eq!(resolve(None, Some("5")), Ok(5));
        assert!(resolve(None, None).unwrap() >= 1);
        assert!(resolve(Some(0), None).is_err());
        assert_eq!(resolve(Some(usize::MAX), None), Ok(most()));
        assert_eq!(resolve(None, Some("10000")), Ok(most()));
        for text in ["0", "-1", "many"] {
            assert!(resolve(None, Some(text)).unwrap_err().to_string().contains(text));
        }
    }
}
