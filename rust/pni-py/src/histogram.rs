//! `position_histogram`.

use crate::arrays::values;
use crate::leave::leave;
use numpy::{PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods};
use pni_core::histogram::Labels;
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
    let [images, height, width] = [labels.shape()[0], labels.shape()[1], labels.shape()[2]];
    let stack = Labels {
        values: values(&labels)?,
        images,
        height,
        width,
    };
    let histogram = leave(py, num_threads, None, |context| {
        pni_core::histogram::position_histogram(&stack, n_classes, patch, context)
    })?;
    PyArray1::from_vec(py, histogram).reshape([height, width, n_classes])
}
