//! `position_histogram`.

use crate::arrays::stack;
use crate::leave::leave;
use numpy::{PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray3};
use pyo3::prelude::*;

/// Share of each class near each position: float32 (height, width, `n_classes`).
#[pyfunction]
#[pyo3(signature = (labels, n_classes, patch=9, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn position_histogram<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray3<'py, i64>,
    n_classes: usize,
    patch: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<f32>>> {
    let stack = stack(&labels)?;
    let histogram = leave(py, num_threads, None, |context| {
        pni_core::histogram::position_histogram(&stack, n_classes, patch, context)
    })?;
    PyArray1::from_vec(py, histogram).reshape([stack.height, stack.width, n_classes])
}
