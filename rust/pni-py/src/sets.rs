//! `position_sets`.

use crate::arrays::{stack, values};
use crate::leave::leave;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray3};
use pyo3::prelude::*;

/// Classes near each position of the chosen images: packed bits, uint8 (height·width, ⌈`n_classes`/8⌉).
#[pyfunction]
#[pyo3(signature = (labels, images, n_classes, patch=9, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn position_sets<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray3<'py, u16>,
    images: PyReadonlyArray1<'py, i64>,
    n_classes: usize,
    patch: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let stack = stack(&labels)?;
    let chosen = values(&images)?;
    let sets = leave(py, num_threads, None, |context| {
        pni_core::sets::position_sets(&stack, chosen, n_classes, patch, context)
    })?;
    PyArray1::from_vec(py, sets).reshape([stack.height * stack.width, n_classes.div_ceil(8)])
}
