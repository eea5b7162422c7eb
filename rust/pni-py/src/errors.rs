//! The core's errors as Python's.

use pni_core::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyValueError};
use pyo3::prelude::*;

/// A core error as the Python exception a caller expects.
#[allow(clippy::needless_pass_by_value)] // for map_err
pub fn to_py(error: Error) -> PyErr {
    match error {
        Error::NotFinite { .. } | Error::Invalid { .. } => PyValueError::new_err(error.to_string()),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
    }
}
