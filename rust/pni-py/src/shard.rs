//! Part of the points of a selection, whose rows Python holds; and the picks among those of all parts.

use crate::arrays::{Rows, values};
use crate::leave::leave;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pni_core::coreset::{Shard as Core, pick_hot as pick};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

type Picked<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>);
type Hot<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, f64);

/// Rows that lie together, and what is known of them.
#[pyclass(module = "pni_fast._core", frozen)]
pub struct Shard {
    features: Py<PyAny>,
    num_threads: Option<usize>,
    core: std::sync::Mutex<Core>,
}

impl Shard {
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Rows<'py>> {
        self.features.bind(py).extract()
    }

    fn core(&self) -> PyResult<std::sync::MutexGuard<'_, Core>> {
        self.core
            .try_lock()
            .map_err(|_| PyRuntimeError::new_err("this shard is at work in another thread"))
    }
}

#[pymethods]
impl Shard {
    /// Reads all rows of `features` (n, d), which must stay as they are; `first` (1, d) is the first center.
    #[new]
    #[pyo3(signature = (features, first, num_threads=None))]
    #[allow(clippy::needless_pass_by_value)]
    fn new(py: Python<'_>, features: Py<PyAny>, first: Rows<'_>, num_threads: Option<usize>) -> PyResult<Self> {
        let rows: Rows<'_> = features.bind(py).extract()?;
        let (points, first) = (rows.view("features")?, first.view("first")?);
        let core = leave(py, num_threads, None, |context| {
            let mut buffer = Vec::new();
            Core::read(&points, first.row(0, &mut buffer), context)
        })?;
        let core = std::sync::Mutex::new(core);
        Ok(Self {
            features,
            num_threads,
            core,
        })
    }

    /// Takes picks (k, d).
    #[allow(clippy::needless_pass_by_value)]
    fn take(&self, py: Python<'_>, picks: Rows<'_>) -> PyResult<()> {
        let rows = self.rows(py)?;
        let (points, picks) = (rows.view("features")?, picks.view("picks")?);
        let mut core = self.core()?;
        let core = &mut *core;
        leave(py, self.num_threads, None, |context| {
            core.take(&points, &picks, context)
        })
    }

    /// At least the squared distances of some rows, evenly spread.
    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let rows = self.rows(py)?;
        let points = rows.view("features")?;
        let mut core = self.core()?;
        let core = &mut *core;
        let sample = leave(py, self.num_threads, None, |context| core.sample(&points, context))?;
        Ok(sample.into_pyarray(py))
    }

    /// Rows at least the root of `threshold` from all centers, the `most` farthest; their squared distances; and what no other
    /// row reaches.
    fn hot<'py>(&self, py: Python<'py>, threshold: f64, most: usize) -> PyResult<Hot<'py>> {
        let rows = self.rows(py)?;
        let points = rows.view("features")?;
        let mut core = self.core()?;
        let core = &mut *core;
        let found = leave(py, self.num_threads, None, |context| {
            core.hot(&points, threshold, most, context)
        })?;
        let rows: Vec<i64> = found.rows.into_iter().map(i64::from).collect();
        Ok((rows.into_pyarray(py), found.squared.into_pyarray(py), found.floor))
    }
}

/// Picks up to `size` of the hot `rows` (n, d), whose squared distances are given, down to `threshold`.
#[pyfunction]
#[pyo3(signature = (rows, squared, threshold, size, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn pick_hot<'py>(
    py: Python<'py>,
    rows: Rows<'py>,
    squared: PyReadonlyArray1<'py, f64>,
    threshold: f64,
    size: usize,
    num_threads: Option<usize>,
) -> PyResult<Picked<'py>> {
    let (points, squared) = (rows.view("rows")?, values(&squared)?);
    let picks = leave(py, num_threads, None, |context| {
        pick(&points, squared, threshold, size, context)
    })?;
    let (rows, squared): (Vec<i64>, Vec<f64>) = picks.into_iter().map(|(row, squared)| (row as i64, squared)).unzip();
    Ok((rows.into_pyarray(py), squared.into_pyarray(py)))
}
