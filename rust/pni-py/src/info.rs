//! What this machine and this process let the kernels use.

use crate::errors::to_py;
use pni_core::{Simd, simd, threads};
use pyo3::prelude::*;

/// The value of an environment variable; read at every call, under the GIL, as `os.environ` may change it.
pub fn setting(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The SIMD level in use.
pub fn current_simd() -> PyResult<Simd> {
    Simd::from_setting(setting(simd::SETTING).as_deref()).map_err(to_py)
}

/// The number of threads a call with this `num_threads` uses.
pub fn current_threads(requested: Option<usize>) -> PyResult<usize> {
    threads::resolve(requested, setting(threads::SETTING).as_deref()).map_err(to_py)
}

/// The SIMD level the kernels use: "scalar", "neon", "avx2" or "avx512".
#[pyfunction]
pub fn simd_level() -> PyResult<&'static str> {
    Ok(current_simd()?.name())
}

/// Every SIMD level this CPU has, the fastest last.
#[pyfunction]
pub fn simd_levels() -> Vec<&'static str> {
    Simd::available().into_iter().map(Simd::name).collect()
}

/// The number of threads a kernel uses when called with this `num_threads`.
#[pyfunction]
#[pyo3(signature = (num_threads=None))]
pub fn num_threads(num_threads: Option<usize>) -> PyResult<usize> {
    current_threads(num_threads)
}

/// Lets forked children know what they are.
pub fn watch_forks() {
    #[cfg(unix)]
    // SAFETY: the handler only stores to an atomic, which is allowed in a forked child. Should registering fail
    // (no memory), children merely use more threads.
    unsafe {
        libc::pthread_atfork(None, None, Some(threads::after_fork_in_child));
    }
}
