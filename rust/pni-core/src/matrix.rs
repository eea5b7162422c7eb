//! A read-only matrix over the caller's memory (an array or a mapped file), float32 or float16.

use crate::simd::prefetch;
use crate::threads::Team;
use crate::{Control, Error, Result, memory};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::ops::Range;

#[derive(Debug, Clone, Copy)]
enum Storage<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

/// Rows in C order, read as float32.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    storage: Storage<'a>,
    rows: usize,
    cols: usize,
    what: &'static str,
}

impl<'a> Matrix<'a> {
    /// Views `rows`×`cols` float32 values; `what` names the argument in errors. Both sides must be at least 1.
    pub fn from_f32(what: &'static str, data: &'a [f32], rows: usize, cols: usize) -> Result<Self> {
        Self::new(what, Storage::F32(data), data.len(), rows, cols)
    }

    /// Views `rows`×`cols` float16 values.
    pub fn from_f16(what: &'static str, data: &'a [f16], rows: usize, cols: usize) -> Result<Self> {
        Self::new(what, Storage::F16(data), data.len(), rows, cols)
    }

    fn new(what: &'static str, storage: Storage<'a>, len: usize, rows: usize, cols: usize) -> Result<Self> {
        if rows == 0 || cols == 0 || rows.checked_mul(cols) != Some(len) {
            let shape = format!("shape ({rows}, {cols}) over {len} values");
            return Err(Error::invalid(
                what,
                "a matrix with at least one row and one column",
                shape,
            ));
        }
        if u32::try_from(rows).is_err() {
            return Err(Error::invalid(what, "a matrix of fewer than 2**32 rows", rows));
        }
        Ok(Self {
            storage,
            rows,
            cols,
            what,
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The argument's name.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Rows `range` as float32: borrowed where they are float32 already, else converted into `buffer`.
    #[inline]
    pub fn load<'b>(&'b self, range: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        let span = range.start * self.cols..range.end * self.cols;
        match self.storage {
            Storage::F32(data) => &data[span],
            Storage::F16(data) => {
                memory::resize(buffer, span.len(), 0.0);
                data[span].convert_to_f32_slice(buffer);
                buffer
            }
        }
    }

    /// All rows as float32; see [`Matrix::load`]. Converting them ends early when cancelled.
    pub(crate) fn load_all<'b>(&'b self, buffer: &'b mut Vec<f32>, control: &Control) -> Result<&'b [f32]> {
        match self.storage {
            Storage::F32(data) => Ok(data),
            Storage::F16(data) => {
                *buffer = memory::zeros(data.len());
                let step = self.rows_per_chunk() * self.cols;
                for (from, to) in data.chunks(step).zip(buffer.chunks_mut(step)) {
                    control.check()?;
                    from.convert_to_f32_slice(to);
                }
                Ok(buffer)
            }
        }
    }

    /// One row as float32; see [`Matrix::load`].
    #[inline]
    pub fn row<'b>(&'b self, row: usize, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        self.load(row..row + 1, buffer)
    }

    /// Asks for a row that will be read soon.
    #[inline]
    pub fn prefetch(&self, row: usize) {
        let span = row * self.cols..(row + 1) * self.cols;
        match self.storage {
            Storage::F32(data) => prefetch(&data[span]),
            Storage::F16(data) => prefetch(&data[span]),
        }
    }

    /// All values as float32, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f32> {
        let mut buffer = Vec::new();
        self.load(0..self.rows, &mut buffer).to_vec()
    }

    /// Rows that make a piece of work of about a quarter of a megabyte.
    #[must_use]
    pub fn rows_per_chunk(&self) -> usize {
        (65_536 / self.cols).clamp(1, self.rows)
    }

    /// Refuses a matrix whose rows cannot be compared with those of `like`.
    pub(crate) fn check_width(&self, like: &Self) -> Result<()> {
        if self.cols == like.cols {
            return Ok(());
        }
        let allowed = format!("a matrix of {} columns, as many as {}", like.cols, like.what);
        Err(Error::invalid(self.what, allowed, format!("{} columns", self.cols)))
    }

    /// Refuses NaN and infinity, naming the first row that holds one.
    pub fn check_finite(&self, team: &Team<'_>) -> Result<()> {
        let step = self.rows_per_chunk();
        let mut first = memory::filled(usize::MAX, self.rows.div_ceil(step));
        team.each_chunk(&mut first, 1, |chunk, found| {
            let range = chunk * step..((chunk + 1) * step).min(self.rows);
            let mut buffer = Vec::new();
            found[0] = first_not_finite(self.load(range.clone(), &mut buffer), self.cols)
                .map_or(usize::MAX, |row| range.start + row);
        })?;
        match first.into_iter().min() {
            Some(row) if row != usize::MAX => Err(Error::NotFinite { what: self.what, row }),
            _ => Ok(()),
        }
    }
}

/// The first of these rows that holds NaN or infinity.
pub(crate) fn first_not_finite(values: &[f32], cols: usize) -> Option<usize> {
    values.chunks_exact(cols).position(|row| {
        // x·0 is 0 for finite x and NaN otherwise, and NaN survives the sum: no branch per value.
        let mut lanes = [0.0f32; 16];
        let (blocks, rest) = row.as_chunks::<16>();
        for block in blocks {
            for i in 0..16 {
                lanes[i] += block[i] * 0.0;
            }
        }
        lanes.iter().sum::<f32>().is_nan() || rest.iter().any(|x| !x.is_finite())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_loaded_unless_cancelled() {
        let halves: Vec<f16> = (0..300_000u32).map(|i| f16::from_f32((i % 1_000) as f32)).collect();
        let matrix = Matrix::from_f16("features", &halves, 3_000, 100).unwrap();
        let (control, mut buffer) = (Control::default(), Vec::new());
        assert_eq!(matrix.load_all(&mut buffer, &control).unwrap(), matrix.to_vec());
        control.cancel();
        assert_eq!(matrix.load_all(&mut buffer, &control), Err(Error::Cancelled));
    }
}
