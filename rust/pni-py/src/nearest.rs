//! `nearest`.

use crate::arrays::Rows;
use crate::leave::leave;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

/// Indices and distances.
type Found<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f32>>);

/// Index of, and distance to, the nearest center of every row.
#[pyfunction]
#[pyo3(signature = (features, centers, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn nearest<'py>(
    py: Python<'py>,
    features: Rows<'py>,
    centers: Rows<'py>,
    num_threads: Option<usize>,
) -> PyResult<Found<'py>> {
    let (rows, targets) = (features.view("features")?, centers.view("centers")?);
    let (indices, distances) = leave(py, num_threads, None, |context| {
        pni_core::nearest::nearest(&rows, &targets, context)
    })?;
    Ok((indices.into_pyarray(py), distances.into_pyarray(py)))
}
