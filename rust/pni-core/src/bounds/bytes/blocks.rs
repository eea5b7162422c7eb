//! Sketches at a byte a component: a point against sixteen centers, eight components in a few instructions.
//!
//! The error of the bytes is added to the slack. Distances of bytes are whole numbers below 2²⁴ and therefore exact in
//! float32.

use crate::Simd;
use crate::bounds::bytes::quantize::{OFFSET, norm, offset_norm, quantize, squared_units};
use crate::memory;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Bytes of a sketch, at most.
pub const LONGEST_SKETCH: usize = 32;

/// Points that are compared together.
pub const POINTS: usize = 4;

/// A sketch in bytes; components it does not have are 0.
#[derive(Debug, Clone, Copy)]
pub struct SketchBytes {
    values: [i8; LONGEST_SKETCH],
    /// At least the distance, in units, from the sketch (cut off) to the bytes.
    pub error: f32,
}

impl Default for SketchBytes {
    fn default() -> Self {
        Self {
            values: [0; LONGEST_SKETCH],
            error: 0.0,
        }
    }
}

impl SketchBytes {
    /// The bytes of a sketch, `scale` units to one, counted from `origin`.
    pub fn of(simd: Simd, sketch: &[f32], origin: &[f32], scale: f32) -> Self {
        let mut bytes = Self::default();
        bytes.error = quantize(simd, sketch, origin, scale, &mut bytes.values);
        bytes
    }
}

/// The bytes of some centers, sixteen side by side.
#[derive(Debug, Default)]
pub struct ByteBlocks {
    /// Bytes of a center: a multiple of 4.
    stride: usize,
    len: usize,
    /// For each block of 16 centers, four bytes of each in turn, plus 64.
    bytes: Vec<u8>,
    /// |q|²; infinite in lanes without a center, −infinite (always in doubt) where the bytes say little.
    norms: Vec<f32>,
    /// The most slack and error, in units, of a center whose bytes say something.
    slack: f32,
}

/// Slack and error, in units, that a center's bytes may have; rounding alone leaves at most 4.
const MOST_ERROR: f32 = 5.0;

impl ByteBlocks {
    /// No centers, of sketches this wide.
    pub fn new(width: usize) -> Self {
        let mut blocks = Self::default();
        blocks.reset(width);
        blocks
    }

    /// The same again.
    pub fn reset(&mut self, width: usize) {
        self.stride = width.next_multiple_of(4);
        self.len = 0;
        self.bytes.clear();
        self.norms.clear();
        self.slack = 0.0;
    }

    /// Adds a center; `slack` is in units.
    pub fn push(&mut self, center: &SketchBytes, slack: f32) {
        self.put(center);
        let slack = slack + center.error;
        self.norms[self.len] = if slack <= MOST_ERROR {
            self.slack = self.slack.max(slack);
            norm(&center.values) as f32
        } else {
            f32::NEG_INFINITY
        };
        self.len += 1;
    }

    /// Adds a center whose lane in `other`, as wide and in the same units, is `index`.
    pub fn push_known(&mut self, center: &SketchBytes, other: &Self, index: usize) {
        self.put(center);
        self.norms[self.len] = other.norms[index];
        self.slack = other.slack;
        self.len += 1;
    }

    /// Writes the bytes of a center to the next lane.
    fn put(&mut self, center: &SketchBytes) {
        let lane = self.grow();
        let start = self.len / LANES * LANES * self.stride;
        let values = center.values.map(|q| (q + OFFSET) as u8);
        let (fours, _) = values[..self.stride].as_chunks::<4>();
        let (places, _) = self.bytes[start..].as_chunks_mut::<4>();
        for (place, four) in places[lane..].iter_mut().step_by(LANES).zip(fours) {
            *place = *four;
        }
    }

    /// Makes room for one center more; returns its lane in the last block.
    fn grow(&mut self) -> usize {
        let lane = self.len % LANES;
        if lane == 0 {
            let len = self.bytes.len() + LANES * self.stride;
            memory::resize(&mut self.bytes, len, OFFSET as u8);
            memory::resize(&mut self.norms, self.len + LANES, f32::INFINITY);
        }
        lane
    }

    /// Those from `first`, a multiple of 16, on: lanes with a center and without.
    pub fn from(&self, first: usize) -> ByteView<'_> {
        ByteView {
            stride: self.stride,
            bytes: &self.bytes[first * self.stride..],
            norms: &self.norms[first..],
            slack: self.slack,
        }
    }
}

/// Some blocks of [`ByteBlocks`].
#[derive(Clone, Copy)]
pub struct ByteView<'a> {
    stride: usize,
    bytes: &'a [u8],
    norms: &'a [f32],
    pub slack: f32,
}

impl<'a> ByteView<'a> {
    /// Of each sixteen lanes the rows, four bytes each, and the norms.
    #[inline(always)]
    pub fn blocks(self) -> impl Iterator<Item = (&'a [[u8; 4 * LANES]], &'a [f32; LANES])> {
        let (rows, _) = self.bytes.as_chunks::<{ 4 * LANES }>();
        let (norms, _) = self.norms.as_chunks::<LANES>();
        rows.chunks_exact(self.stride / 4).zip(norms)
    }

    #[cfg(test)]
    pub fn lanes(&self) -> usize {
        self.norms.len()
    }

    /// Those from lane `first`, a multiple of 16, on.
    pub fn from(&self, first: usize) -> Self {
        Self {
            bytes: &self.bytes[first * self.stride..],
            norms: &self.norms[first..],
            ..*self
        }
    }

    /// Those before lane `end`, a multiple of 16; all where there are fewer.
    pub fn to(&self, end: usize) -> Self {
        let end = end.min(self.norms.len());
        Self {
            bytes: &self.bytes[..end * self.stride],
            norms: &self.norms[..end],
            ..*self
        }
    }

    /// Squared distances, in units, of the bytes of four points to those of all centers: a run of as many values
    /// as there are lanes for each point.
    pub fn compare(&self, simd: Simd, points: &[SketchBytes; POINTS], out: &mut Vec<f32>) {
        memory::resize(out, POINTS * self.norms.len(), 0.0);
        compare(simd, points, *self, out);
    }

    /// The same for one point.
    pub fn compare_one(&self, simd: Simd, point: &SketchBytes, out: &mut Vec<f32>) {
        memory::resize(out, self.norms.len(), 0.0);
        compare_one(simd, &[*point], *self, out);
    }
}

/// What [`offset_norm`] makes of a point's bytes.
#[inline(always)]
pub fn own_norm<I: Isa>(isa: I, point: &SketchBytes) -> I::F {
    isa.splat(offset_norm(&point.values) as f32)
}

/// Squared distances, in units, of the bytes of some points to those of sixteen centers, whose rows of four bytes each and
/// norms these are.
#[inline(always)]
pub fn block_units<I: Isa, const N: usize>(
    isa: I,
    points: [(&SketchBytes, I::F); N],
    rows: &[[u8; 4 * LANES]],
    norms: &[f32; LANES],
) -> [I::F; N] {
    let mut sums = [isa.zero_int(); N];
    let fours = points.map(|(point, _)| point.values[..4 * rows.len()].as_chunks::<4>().0);
    let (pairs, last) = rows.as_chunks::<2>();
    for (i, rows) in pairs.iter().enumerate() {
        for (sum, fours) in sums.iter_mut().zip(fours) {
            *sum = isa.dot_two(*sum, rows, [fours[2 * i], fours[2 * i + 1]]);
        }
    }
    for row in last {
        for (sum, fours) in sums.iter_mut().zip(fours) {
            *sum = isa.dot(*sum, row, fours[rows.len() - 1]);
        }
    }
    let norms = isa.load(norms);
    let mut squared = points.map(|(_, own)| own);
    for (squared, sum) in squared.iter_mut().zip(sums) {
        *squared = squared_units(isa, sum, norms, *squared);
    }
    squared
}

#[inline(always)]
fn compare_body<I: Isa, const N: usize>(isa: I, points: &[SketchBytes; N], view: ByteView<'_>, out: &mut [f32]) {
    let own = points.map(|point| own_norm(isa, &point));
    let points: [_; N] = std::array::from_fn(|i| (&points[i], own[i]));
    let (out, _) = out.as_chunks_mut::<LANES>();
    let blocks = out.len() / N;
    for (block, (rows, norms)) in view.blocks().enumerate() {
        for (point, squared) in block_units(isa, points, rows, norms).into_iter().enumerate() {
            isa.store(squared, &mut out[point * blocks + block]);
        }
    }
}

multiversion! {
    fn compare(points: &[SketchBytes; POINTS], view: ByteView<'_>, out: &mut [f32]) = compare_body
}

multiversion! {
    fn compare_one(point: &[SketchBytes; 1], view: ByteView<'_>, out: &mut [f32]) = compare_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
        a.iter().zip(b).map(square).sum::<f64>().sqrt()
    }

    proptest! {
        /// SketchBytes never claim more than the sketches' distance, whatever is clamped, and are the same at every level.
        #[test]
        fn bytes_bound_the_distance(
            width in 1usize..=LONGEST_SKETCH,
            centers in 1usize..40,
            size in -12.0f32..12.0,
            fine in -3.0f32..3.0,
            seed in prop::collection::vec(-1.0f32..1.0, 1..50),
        ) {
            let value = |i: usize| seed[i % seed.len()] * (1.0 + (i % 7) as f32) * size.exp();
            let sketch = |row: usize| (0..width).map(|j| value(row * width + j)).collect::<Vec<_>>();
            let (origin, scale) = (sketch(99), 40.0 * (fine - size).exp());
            let mut runs = Vec::new();
            for simd in Simd::available() {
                let mut blocks = ByteBlocks::new(width);
                for row in 0..centers {
                    blocks.push(&SketchBytes::of(simd, &sketch(row), &origin, scale), 0.0);
                }
                let points = [50, 51, 52, 53].map(|row| SketchBytes::of(simd, &sketch(row), &origin, scale));
                let view = blocks.from(0);
                let mut out = Vec::new();
                view.compare(simd, &points, &mut out);
                for (i, (point, out)) in points.iter().zip(out.chunks_exact(view.lanes())).enumerate() {
                    for (row, squared) in out.iter().enumerate().take(centers) {
                        let units = f64::from(squared.max(0.0).sqrt() - point.error - view.slack);
                        let exact = distance(&sketch(50 + i), &sketch(row)) * f64::from(scale);
                        prop_assert!(units <= exact * (1.0 + 1e-5) + 1e-12, "{units} {exact}");
                    }
                    prop_assert!(out[centers..].iter().all(|squared| *squared == f32::INFINITY));
                }
                runs.push(out);
            }
            prop_assert!(runs.iter().all(|run| *run == runs[0]));
        }
    }

    #[test]
    fn bytes_count_units() {
        let simd = Simd::best();
        let mut blocks = ByteBlocks::new(3);
        for row in [[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [-100.0, 2.0, 5.0], [1e9, 0.0, 0.0]] {
            blocks.push(&SketchBytes::of(simd, &row, &[0.0; 3], 1.0), 0.0);
        }
        blocks.push(&SketchBytes::default(), 2.0 * MOST_ERROR);
        let points = [SketchBytes::of(simd, &[0.0, 0.0, 0.0], &[0.0; 3], 1.0); POINTS];
        let mut out = Vec::new();
        blocks.from(0).compare(simd, &points, &mut out);
        // What is cut off counts as 63; the last has so much slack that its bytes say nothing: it stays in doubt.
        assert_eq!(
            out[..6],
            [0.0, 25.0, 3_998.0, 3_969.0, f32::NEG_INFINITY, f32::INFINITY]
        );
        // Copied lanes are the same.
        let mut copies = ByteBlocks::new(3);
        for (index, row) in [(4, [0.0; 3]), (1, [3.0, 4.0, 0.0])] {
            copies.push_known(&SketchBytes::of(simd, &row, &[0.0; 3], 1.0), &blocks, index);
        }
        copies.from(0).compare(simd, &points, &mut out);
        assert_eq!(out[..3], [f32::NEG_INFINITY, 25.0, f32::INFINITY]);
    }
}
