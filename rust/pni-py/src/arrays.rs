//! Arrays as the core's views, without a copy.

use half::f16;
use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyReadonlyArray2, PyReadonlyArray3, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pni_core::Matrix;
use pni_core::histogram::Labels;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::errors::to_py;

/// A C-ordered matrix that Python holds for the length of the call.
pub enum Rows<'py> {
    /// float32.
    F32(PyReadonlyArray2<'py, f32>),
    /// float16.
    F16(PyReadonlyArray2<'py, f16>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Rows<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.extract() {
            return Ok(Self::F32(array));
        }
        if let Ok(array) = object.extract() {
            return Ok(Self::F16(array));
        }
        let found = match object.cast::<PyUntypedArray>() {
            Ok(array) => format!(
                "a {}-dimensional array of {}",
                array.ndim(),
                array.dtype().typeobj().name()?
            ),
            Err(_) => object.get_type().name()?.to_string(),
        };
        Err(PyTypeError::new_err(format!(
            "expected a 2-dimensional float32 or float16 array, got {found}"
        )))
    }
}

impl Rows<'_> {
    /// The view; `what` names the argument in errors.
    pub fn view(&self, what: &'static str) -> PyResult<Matrix<'_>> {
        match self {
            Self::F32(array) => {
                let (rows, cols) = (array.shape()[0], array.shape()[1]);
                Matrix::from_f32(what, values(array)?, rows, cols).map_err(to_py)
            }
            Self::F16(array) => {
                let (rows, cols) = (array.shape()[0], array.shape()[1]);
                Matrix::from_f16(what, values(array)?, rows, cols).map_err(to_py)
            }
        }
    }
}

/// The values of an array in C order, aligned as their type must be.
pub fn values<'a, T: Element, D: Dimension>(array: &'a PyReadonlyArray<'_, T, D>) -> PyResult<&'a [T]> {
    if !array.data().is_aligned() {
        return Err(PyTypeError::new_err("expected an aligned array"));
    }
    array
        .as_slice()
        .map_err(|error| PyTypeError::new_err(format!("expected an array in C order: {error}")))
}

/// Labels of a stack of images, (images, height, width).
pub fn stack<'a, T: Element>(labels: &'a PyReadonlyArray3<'_, T>) -> PyResult<Labels<'a, T>> {
    let [images, height, width] = [labels.shape()[0], labels.shape()[1], labels.shape()[2]];
    Ok(Labels {
        values: values(labels)?,
        images,
        height,
        width,
    })
}
