//! `decode_png`: the plain kind of picture that lines of cameras write, decoded by the png crate.

use numpy::{PyArray1, PyArray3, PyArrayMethods};
use png::{BitDepth, ColorType, Decoder, Transformations};
use pyo3::prelude::*;
use std::io::Cursor;

/// Pixels in the order of the file.
struct Pixels {
    values: Vec<u8>,
    shape: [usize; 3],
}

/// Decodes a PNG of 8-bit grey or RGB, neither interlaced nor animated nor with transparent colours: uint8 (H, W, 1 or 3).
/// None for any other file, a broken one included: a reader of all kinds has more to say of it.
#[pyfunction]
pub fn decode_png<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Option<Bound<'py, PyArray3<u8>>>> {
    py.detach(|| plain_pixels(content))
        .map(|pixels| PyArray1::from_vec(py, pixels.values).reshape(pixels.shape))
        .transpose()
}

fn plain_pixels(content: &[u8]) -> Option<Pixels> {
    let mut decoder = Decoder::new(Cursor::new(content));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    let channels = match info.color_type {
        ColorType::Grayscale => 1,
        ColorType::Rgb => 3,
        _ => return None,
    };
    let plain = info.bit_depth == BitDepth::Eight && !info.interlaced && info.trns.is_none();
    if !plain || info.animation_control.is_some() {
        return None;
    }
    let shape = [info.height as usize, info.width as usize, channels];
    let count = reader.output_buffer_size()?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).ok()?;
    values.resize(count, 0);
    reader.next_frame(&mut values).ok()?;
    // What follows the pixels must be whole too.
    reader.finish().ok()?;
    (count == shape.iter().product::<usize>()).then_some(Pixels { values, shape })
}
