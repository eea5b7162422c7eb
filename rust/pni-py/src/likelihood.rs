//! `max_likelihood`.

use crate::arrays::{Rows, values};
use crate::leave::leave;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pni_core::likelihood::Allowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Distances and indices.
type Found<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<i64>>);

/// Distance to, and index of, the nearest coreset row whose group is allowed; `allowed` holds bits, lowest first.
#[pyfunction]
#[pyo3(signature = (features, coreset, groups, allowed, n_groups, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn max_likelihood<'py>(
    py: Python<'py>,
    features: Rows<'py>,
    coreset: Rows<'py>,
    groups: PyReadonlyArray1<'py, i64>,
    allowed: PyReadonlyArray2<'py, u8>,
    n_groups: usize,
    num_threads: Option<usize>,
) -> PyResult<Found<'py>> {
    let (rows, targets) = (features.view("features")?, coreset.view("coreset")?);
    if allowed.shape() != [rows.rows(), n_groups.div_ceil(8)] {
        return Err(PyValueError::new_err(format!(
            "allowed must have shape ({}, {}), got {:?}",
            rows.rows(),
            n_groups.div_ceil(8),
            allowed.shape()
        )));
    }
    let groups = values(&groups)?;
    let allowed = Allowed {
        bits: values(&allowed)?,
        groups: n_groups,
    };
    let (distances, indices) = leave(py, num_threads, None, |context| {
        pni_core::likelihood::max_likelihood(&rows, &targets, groups, allowed, context)
    })?;
    Ok((distances.into_pyarray(py), indices.into_pyarray(py)))
}
