//! `window_counts`, `changed_histogram` and `changed_sets`.

use crate::arrays::{stack, values};
use crate::leave::leave;
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray3, PyUntypedArrayMethods};
use pni_core::counts::{Changes, Counted};
use pyo3::prelude::*;

/// Labels of each class near each position: uint32 (height, width, `n_classes`).
#[pyfunction]
#[pyo3(signature = (labels, n_classes, patch=9, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn window_counts<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray3<'py, i64>,
    n_classes: usize,
    patch: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<u32>>> {
    let stack = stack(&labels)?;
    let counts = leave(py, num_threads, None, |context| {
        pni_core::counts::window_counts(&stack, n_classes, patch, context)
    })?;
    PyArray1::from_vec(py, counts).reshape([stack.height, stack.width, n_classes])
}

/// Labels taken from what was counted, or added: places, classes and by how much.
type Changed<'py> = (
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, i32>,
);

/// Share of each class near each position after changes: float32 (height, width, classes).
#[pyfunction]
#[pyo3(signature = (counts, changes, images, patch=9, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn changed_histogram<'py>(
    py: Python<'py>,
    counts: PyReadonlyArray3<'py, u32>,
    changes: Changed<'py>,
    images: usize,
    patch: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<f32>>> {
    let (counted, changes) = (counted(&counts, patch)?, changed(&changes)?);
    let shares = leave(py, num_threads, None, |context| {
        counted.histogram(&changes, images, context)
    })?;
    PyArray1::from_vec(py, shares).reshape([counted.height, counted.width, counted.classes])
}

/// Where that share is above `tau`: packed bits, uint8 (height·width, ⌈classes/8⌉).
#[pyfunction]
#[pyo3(signature = (counts, changes, images, tau, patch=9, num_threads=None))]
#[allow(clippy::needless_pass_by_value)]
pub fn changed_sets<'py>(
    py: Python<'py>,
    counts: PyReadonlyArray3<'py, u32>,
    changes: Changed<'py>,
    images: usize,
    tau: f32,
    patch: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let (counted, changes) = (counted(&counts, patch)?, changed(&changes)?);
    let sets = leave(py, num_threads, None, |context| {
        counted.sets(&changes, images, tau, context)
    })?;
    PyArray1::from_vec(py, sets).reshape([counted.height * counted.width, counted.classes.div_ceil(8)])
}

fn counted<'a>(counts: &'a PyReadonlyArray3<'_, u32>, patch: usize) -> PyResult<Counted<'a>> {
    let [height, width, classes] = [counts.shape()[0], counts.shape()[1], counts.shape()[2]];
    Ok(Counted {
        counts: values(counts)?,
        height,
        width,
        classes,
        patch,
    })
}

fn changed<'a>((places, classes, by): &'a Changed<'_>) -> PyResult<Changes<'a>> {
    Ok(Changes {
        places: values(places)?,
        classes: values(classes)?,
        by: values(by)?,
    })
}
