//! `enlarge`.

use crate::arrays::Rows;
use crate::errors::to_py;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

/// `rows` · `grid` · `columns`, float32: on the calling thread, as it takes less than starting one.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn enlarge<'py>(
    py: Python<'py>,
    grid: Rows<'py>,
    rows: Rows<'py>,
    columns: Rows<'py>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (inner, left, right) = (grid.view("grid")?, rows.view("rows")?, columns.view("columns")?);
    let map = py
        .detach(|| pni_core::maps::enlarge(&inner, &left, &right))
        .map_err(to_py)?;
    PyArray1::from_vec(py, map).reshape([left.rows(), right.cols()])
}
