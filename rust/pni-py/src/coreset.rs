//! `greedy_coreset` and the plain scan it is measured against.

use crate::arrays::Rows;
use crate::leave::leave;
use numpy::{IntoPyArray, PyArray1};
use pni_core::coreset::{Coreset, Request, full_scan, greedy};
use pni_core::{Context, Matrix, Result};
use pyo3::prelude::*;

type Arrays<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f32>>,
    Option<Bound<'py, PyArray1<i64>>>,
    Option<Bound<'py, PyArray1<f32>>>,
);
type Select = fn(&Matrix<'_>, &Request<'_>, &Context<'_>) -> Result<Coreset>;

/// Exact greedy k-center: indices, radii, and labels and distances when `assign` is given.
#[pyfunction]
#[pyo3(signature = (features, size, start=0, initial=None, assign=None, num_threads=None, progress=None))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
pub fn greedy_coreset<'py>(
    py: Python<'py>,
    features: Rows<'py>,
    size: usize,
    start: usize,
    initial: Option<Rows<'py>>,
    assign: Option<usize>,
    num_threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Arrays<'py>> {
    let initial = initial.as_ref().map(|rows| rows.view("initial")).transpose()?;
    let request = Request {
        size,
        start,
        initial,
        assign,
    };
    select(py, greedy, &features, &request, num_threads, progress.as_ref())
}

/// The same selection by a plain multithreaded scan; for benchmarks.
#[pyfunction]
#[pyo3(signature = (features, size, start=0, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn _scan_coreset<'py>(
    py: Python<'py>,
    features: Rows<'py>,
    size: usize,
    start: usize,
    num_threads: Option<usize>,
) -> PyResult<Arrays<'py>> {
    let request = Request {
        size,
        start,
        initial: None,
        assign: None,
    };
    select(py, full_scan, &features, &request, num_threads, None)
}

fn select<'py>(
    py: Python<'py>,
    select: Select,
    features: &Rows<'py>,
    request: &Request<'_>,
    num_threads: Option<usize>,
    progress: Option<&Py<PyAny>>,
) -> PyResult<Arrays<'py>> {
    let points = features.view("features")?;
    let progress = progress.map(|callback| (callback, request.size));
    let found = leave(py, num_threads, progress, |context| select(&points, request, context))?;
    let (labels, distances) = found.assignment.map(|to| (to.labels, to.distances)).unzip();
    Ok((
        found.indices.into_pyarray(py),
        found.radii.into_pyarray(py),
        labels.map(|labels| labels.into_pyarray(py)),
        distances.map(|distances| distances.into_pyarray(py)),
    ))
}
