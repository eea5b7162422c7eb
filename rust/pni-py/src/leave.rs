//! The one door out of Python.

use crate::errors::to_py;
use crate::info::{current_simd, current_threads};
use pni_core::{Context, Control, Error};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often signals are looked at and progress is passed on.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` on another thread without the GIL. Meanwhile this thread polls signals and calls
/// `progress(done, total)`; an exception from either (`KeyboardInterrupt`) cancels the work and is raised here.
pub fn leave<T: Send>(
    py: Python<'_>,
    num_threads: Option<usize>,
    progress: Option<(&Py<PyAny>, usize)>,
    work: impl FnOnce(&Context<'_>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let control = Control::default();
    let context = Context {
        simd: current_simd()?,
        threads: current_threads(num_threads)?,
        control: &control,
    };
    let mut told = 0;
    let mut poll = |py: Python<'_>| -> PyResult<()> {
        py.check_signals()?;
        if let Some((callback, total)) = progress
            && control.done() > told
        {
            told = control.done();
            callback.call1(py, (told, total))?;
        }
        Ok(())
    };
    let (result, interrupted) = py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, finished) = channel::<()>();
            let worker = std::thread::Builder::new()
                .name("pni-fast".into())
                .spawn_scoped(scope, || {
                    // Dropped at the end of the work, and if it panics: either way the wait below ends.
                    let _sender = sender;
                    work(&context)
                })
                .map_err(|error| PyMemoryError::new_err(format!("no thread could be started: {error}")))?;
            let mut interrupted = Ok(());
            while finished.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                if interrupted.is_ok() {
                    interrupted = Python::attach(&mut poll);
                    if interrupted.is_err() {
                        control.cancel();
                    }
                }
            }
            Ok::<_, PyErr>((worker.join().unwrap_or_else(|panic| resume_unwind(panic)), interrupted))
        })
    })?;
    interrupted?;
    let value = result.map_err(to_py)?;
    poll(py)?;
    Ok(value)
}
