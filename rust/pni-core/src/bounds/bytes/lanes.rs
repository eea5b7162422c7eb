//! Sketches at a byte a component: a point against sixteen centres, eight components in a few instructions.
//!
//! The error of the bytes is added to the slack. Distances of bytes are whole numbers below 2²⁴ and therefore exact in
//! float32.

use crate::Simd;
use crate::bounds::bytes::quantize::{OFFSET, norm, own, quantize};
use crate::bounds::sketch::compare::BLOCK;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// Bytes of a sketch, at most.
pub const BYTES: usize = 32;

/// Points that are compared together.
pub const GROUP: usize = 4;

/// A sketch in bytes; components it does not have are 0.
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    values: [i8; BYTES],
    /// At least the distance, in units, from the sketch (cut off) to the bytes.
    pub error: f32,
}

impl Default for Bytes {
    fn default() -> Self {
        Self {
            values: [0; BYTES],
            error: 0.0,
        }
    }
}

impl Bytes {
    /// The bytes of a sketch, `per` units to one, counted from `origin`.
    pub fn of(simd: Simd, sketch: &[f32], origin: &[f32], per: f32) -> Self {
        let mut bytes = Self::default();
        bytes.error = quantize(simd, sketch, origin, per, &mut bytes.values);
        bytes
    }
}

/// The bytes of some centres, sixteen side by side.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Bytes of a centre: a multiple of 4.
    stride: usize,
    len: usize,
    /// For each block of 16 centres, four bytes of each in turn, plus 64.
    bytes: Vec<u8>,
    /// |q|²; infinite in lanes without a centre, −infinite (always in doubt) where the bytes say little.
    norms: Vec<f32>,
    /// The most slack and error, in units, of a centre whose bytes say something.
    slack: f32,
}

/// Slack and error, in units, that a centre's bytes may have; rounding alone leaves at most 4.
const LARGEST: f32 = 5.0;

impl Lanes {
    /// No centres, of sketches this wide.
    pub fn reset(&mut self, width: usize) {
        self.stride = width.next_multiple_of(4);
        self.len = 0;
        self.bytes.clear();
        self.norms.clear();
        self.slack = 0.0;
    }

    /// Adds a centre; `slack` is in units.
    pub fn push(&mut self, centre: &Bytes, slack: f32) {
        let lane = self.grow();
        let start = self.len / BLOCK * BLOCK * self.stride;
        let (fours, _) = centre.values[..self.stride].as_chunks::<4>();
        let (places, _) = self.bytes[start..].as_chunks_mut::<4>();
        for (place, four) in places[lane..].iter_mut().step_by(BLOCK).zip(fours) {
            *place = four.map(|q| (q + OFFSET) as u8);
        }
        let slack = slack + centre.error;
        self.norms[self.len] = if slack <= LARGEST {
            self.slack = self.slack.max(slack);
            norm(&centre.values) as f32
        } else {
            f32::NEG_INFINITY
        };
        self.len += 1;
    }

    /// Adds the centre in a lane of `other`, as wide and in the same units.
    pub fn push_from(&mut self, other: &Self, index: usize) {
        let lane = self.grow();
        let (places, _) = self.bytes[self.len / BLOCK * BLOCK * self.stride..].as_chunks_mut::<4>();
        let (fours, _) = other.bytes[index / BLOCK * BLOCK * self.stride..].as_chunks::<4>();
        let fours = fours[index % BLOCK..].iter().step_by(BLOCK);
        for (place, four) in places[lane..].iter_mut().step_by(BLOCK).zip(fours) {
            *place = *four;
        }
        self.norms[self.len] = other.norms[index];
        self.slack = other.slack;
        self.len += 1;
    }

    /// Makes room for one centre more; returns its lane in the last block.
    fn grow(&mut self) -> usize {
        let lane = self.len % BLOCK;
        if lane == 0 {
            self.bytes.resize(self.bytes.len() + BLOCK * self.stride, OFFSET as u8);
            self.norms.resize(self.len + BLOCK, f32::INFINITY);
        }
        lane
    }

    /// Those from `first`, a multiple of 16, on: lanes with a centre and without.
    pub fn from(&self, first: usize) -> View<'_> {
        View {
            stride: self.stride,
            bytes: &self.bytes[first * self.stride..],
            norms: &self.norms[first..],
            slack: self.slack,
        }
    }
}

/// Some blocks of [`Lanes`].
#[derive(Clone, Copy)]
pub struct View<'a> {
    stride: usize,
    bytes: &'a [u8],
    norms: &'a [f32],
    pub slack: f32,
}

impl View<'_> {
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

    /// Squared distances, in units, of the bytes of four points to those of all centres: a run of as many values
    /// as there are lanes for each point.
    pub fn compare(&self, simd: Simd, points: &[Bytes; GROUP], out: &mut Vec<f32>) {
        out.resize(GROUP * self.norms.len(), 0.0);
        compare(simd, points, self.stride, self.bytes, self.norms, out);
    }

    /// The same for one point.
    pub fn compare_one(&self, simd: Simd, point: &Bytes, out: &mut Vec<f32>) {
        out.resize(self.norms.len(), 0.0);
        compare_one(simd, &[*point], self.stride, self.bytes, self.norms, out);
    }
}

#[inline(always)]
fn compare_body<I: Isa, const N: usize>(
    isa: I,
    points: &[Bytes; N],
    stride: usize,
    bytes: &[u8],
    norms: &[f32],
    out: &mut [f32],
) {
    let own = points.map(|point| isa.splat(own(&point.values) as f32));
    let fours: [_; N] = std::array::from_fn(|i| points[i].values[..stride].as_chunks::<4>().0);
    let (rows, _) = bytes.as_chunks::<{ 4 * BLOCK }>();
    let (norms, _) = norms.as_chunks::<BLOCK>();
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    let blocks = norms.len();
    for (block, (rows, norms)) in rows.chunks_exact(stride / 4).zip(norms).enumerate() {
        let mut sums = [isa.zero_int(); N];
        let (pairs, last) = rows.as_chunks::<2>();
        for (i, rows) in pairs.iter().enumerate() {
            for (sum, fours) in sums.iter_mut().zip(fours) {
                *sum = isa.dot_two(*sum, rows, [fours[2 * i], fours[2 * i + 1]]);
            }
        }
        for row in last {
            for (sum, fours) in sums.iter_mut().zip(fours) {
                *sum = isa.dot(*sum, row, fours[stride / 4 - 1]);
            }
        }
        let norms = isa.load(norms);
        for (point, (sum, own)) in sums.into_iter().zip(own).enumerate() {
            let squared = isa.mul_add(isa.to_float(sum), isa.splat(-2.0), isa.add(norms, own));
            isa.store(squared, &mut out[point * blocks + block]);
        }
    }
}

multiversion! {
    fn compare(
        points: &[Bytes; GROUP],
        stride: usize,
        bytes: &[u8],
        norms: &[f32],
        out: &mut [f32],
    ) = compare_body
}

multiversion! {
    fn compare_one(
        point: &[Bytes; 1],
        stride: usize,
        bytes: &[u8],
        norms: &[f32],
        out: &mut [f32],
    ) = compare_body
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
        /// Bytes never claim more than the sketches' distance, whatever is clamped, and are the same at every level.
        #[test]
        fn bytes_bound_the_distance(
            width in 1usize..=BYTES,
            centers in 1usize..40,
            scale in -12.0f32..12.0,
            fine in -3.0f32..3.0,
            seed in prop::collection::vec(-1.0f32..1.0, 1..50),
        ) {
            let value = |i: usize| seed[i % seed.len()] * (1.0 + (i % 7) as f32) * scale.exp();
            let sketch = |row: usize| (0..width).map(|j| value(row * width + j)).collect::<Vec<_>>();
            let (origin, per) = (sketch(99), 40.0 * (fine - scale).exp());
            let mut runs = Vec::new();
            for simd in Simd::available() {
                let mut lanes = Lanes::default();
                lanes.reset(width);
                for row in 0..centers {
                    lanes.push(&Bytes::of(simd, &sketch(row), &origin, per), 0.0);
                }
                let points = [50, 51, 52, 53].map(|row| Bytes::of(simd, &sketch(row), &origin, per));
                let view = lanes.from(0);
                let mut out = Vec::new();
                view.compare(simd, &points, &mut out);
                for (i, (point, out)) in points.iter().zip(out.chunks_exact(view.lanes())).enumerate() {
                    for (row, squared) in out.iter().enumerate().take(centers) {
                        let units = f64::from(squared.max(0.0).sqrt() - point.error - view.slack);
                        let exact = distance(&sketch(50 + i), &sketch(row)) * f64::from(per);
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
        let mut lanes = Lanes::default();
        lanes.reset(3);
        for row in [[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [-100.0, 2.0, 5.0], [1e9, 0.0, 0.0]] {
            lanes.push(&Bytes::of(simd, &row, &[0.0; 3], 1.0), 0.0);
        }
        lanes.push(&Bytes::default(), 2.0 * LARGEST);
        let points = [Bytes::of(simd, &[0.0, 0.0, 0.0], &[0.0; 3], 1.0); GROUP];
        let mut out = Vec::new();
        lanes.from(0).compare(simd, &points, &mut out);
        // What is cut off counts as 63; the last has so much slack that its bytes say nothing: it stays in doubt.
        assert_eq!(
            out[..6],
            [0.0, 25.0, 3_998.0, 3_969.0, f32::NEG_INFINITY, f32::INFINITY]
        );
        // Copied lanes are the same.
        let mut copies = Lanes::default();
        copies.reset(3);
        for index in [4, 1] {
            copies.push_from(&lanes, index);
        }
        copies.from(0).compare(simd, &points, &mut out);
        assert_eq!(out[..3], [f32::NEG_INFINITY, 25.0, f32::INFINITY]);
    }
}
