//! Centres' whole rows at a byte a value: of what short sketches leave in doubt they rule out nearly all.

use super::bounds::{BLOCK, decisive};
use super::centers::Centers;
use super::quantize::{REACH, quantize};
use crate::simd::lanes::Isa;
use crate::threads::Team;
use crate::{Result, Simd};

/// Bytes of a row come in pieces of this length, the last filled up with 0.
pub const PIECE: usize = 4 * BLOCK;

/// A value is cut off beyond so many times the root of the mean square of a typical centre. Finer units would lose more by
/// cutting off than they gain; from 2 to 5 it made no difference.
const SPREAD: f32 = 3.0;

/// Centres that are asked what is typical, at most.
const SAMPLE: usize = 256;

/// Pieces whose squares are added up in 32 bits: four of at most 126² to a lane and piece.
const TOGETHER: usize = 1 << 12;

/// The rows of all centres, in bytes around one origin.
#[derive(Debug)]
pub struct RowBytes {
    origin: Vec<f32>,
    /// Units to one.
    per: f32,
    /// Pieces of a row.
    pieces: usize,
    values: Vec<[i8; PIECE]>,
    /// As [`quantize`] returns them.
    errors: Vec<f32>,
}

/// One more row, to be compared with them.
#[derive(Clone, Copy)]
pub struct RowProbe<'a> {
    bytes: &'a [[i8; PIECE]],
    /// At least its distance to its nearest centre so far plus the error of its bytes, in units.
    pub reach: f32,
}

impl RowBytes {
    /// The bytes of the rows of `centers`, counted from `origin`.
    pub fn of(centers: &Centers, origin: Vec<f32>, simd: Simd, team: &Team<'_>) -> Result<Self> {
        let (count, pieces) = (centers.len(), origin.len().div_ceil(PIECE));
        let spread = |center: usize| {
            let squares = centers.row(center).iter().zip(&origin).map(|(x, y)| (x - y) * (x - y));
            (squares.sum::<f32>() / origin.len() as f32).sqrt()
        };
        let mut typical: Vec<f32> = (0..count).step_by(count.div_ceil(SAMPLE)).map(spread).collect();
        typical.sort_unstable_by(f32::total_cmp);
        let typical = typical[typical.len() / 2].clamp(1e-30, 1e30);
        let mut rows = Self {
            origin,
            per: f32::from(REACH) / (SPREAD * typical),
            pieces,
            values: Vec::with_capacity(count * pieces),
            errors: Vec::with_capacity(count),
        };
        let mut bytes = Vec::new();
        for center in 0..count {
            team.control().check()?;
            let error = rows.quantize(simd, centers.row(center), &mut bytes);
            rows.values.extend_from_slice(&bytes);
            rows.errors.push(error);
        }
        Ok(rows)
    }

    /// Whether to compare rows takes so long that a look at the sketches first is worth it.
    pub fn long(&self) -> bool {
        self.pieces > 4
    }

    /// Writes the bytes of a row; returns their error, in units.
    pub fn quantize(&self, simd: Simd, row: &[f32], bytes: &mut Vec<[i8; PIECE]>) -> f32 {
        bytes.resize(self.pieces, [0; PIECE]);
        quantize(simd, row, &self.origin, self.per, bytes.as_flattened_mut())
    }

    /// A row of such bytes and error, at most `distance` from its nearest centre so far.
    pub fn probe<'b>(&self, bytes: &'b [[i8; PIECE]], error: f32, distance: f32) -> RowProbe<'b> {
        RowProbe {
            bytes,
            reach: distance * self.per + error,
        }
    }

    /// Whether the bytes prove a centre farther than the probe's distance.
    #[inline(always)]
    pub fn apart<I: Isa>(&self, isa: I, probe: &RowProbe<'_>, center: usize) -> bool {
        let row = &self.values[center * self.pieces..][..self.pieces];
        let mut squared = 0.0;
        for (a, b) in probe.bytes.chunks(TOGETHER).zip(row.chunks(TOGETHER)) {
            let mut sums = isa.zero_int();
            for (a, b) in a.iter().zip(b) {
                sums = isa.add_byte_squares(sums, a, b);
            }
            squared += isa.sum(isa.to_float(sums));
        }
        // False for NaN, which proves nothing.
        squared > decisive(probe.reach + self.errors[center])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coreset::points::root_above;
    use crate::coreset::screen::keep_doubtful;
    use crate::{Context, Control};
    use proptest::prelude::*;

    /// The bytes of centres with these rows; their sketches do not matter here.
    fn bytes_of(simd: Simd, rows: &[Vec<f32>], origin: &[f32]) -> RowBytes {
        let mut centers = Centers::new(rows[0].len(), 1, 0, 1.0);
        for row in rows {
            centers.push(simd, row, &[0.0], 0.0);
        }
        let control = Control::default();
        let context = Context {
            simd,
            threads: 1,
            control: &control,
        };
        Team::with(&context, |team| RowBytes::of(&centers, origin.to_vec(), simd, team)).expect("nobody cancels")
    }

    /// Which of `known` are not proved farther than `reach` from `point`.
    fn left(simd: Simd, known: &RowBytes, point: &[f32], reach: f32) -> Vec<u32> {
        let mut bytes = Vec::new();
        let error = known.quantize(simd, point, &mut bytes);
        let mut left: Vec<u32> = (0..known.errors.len() as u32).collect();
        keep_doubtful(simd, known, &known.probe(&bytes, error, reach), &mut left);
        left
    }

    fn squared(a: &[f32], b: &[f32]) -> f64 {
        let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
        a.iter().zip(b).map(square).sum::<f64>()
    }

    proptest! {
        /// No centre within the distance is ever ruled out, whatever is cut off or far from the origin.
        #[test]
        fn what_is_near_stays(
            width in 1usize..300,
            count in 1usize..20,
            scale in -25.0f32..25.0,
            offset in -4.0f32..4.0,
            outlier in 0.0f32..8.0,
            seed in prop::collection::vec(-1.0f32..1.0, 1..50),
        ) {
            let value = |i: usize| (seed[i % seed.len()] * (1.0 + (i % 7) as f32) + offset) * scale.exp();
            let row = |row: usize| (0..width).map(|j| value(row * width + j)).collect::<Vec<_>>();
            let mut rows: Vec<_> = (0..count).map(row).collect();
            rows[0][0] *= outlier.exp();
            let point = row(77);
            for simd in Simd::available() {
                let known = bytes_of(simd, &rows, &row(99));
                for most in rows.iter().map(|row| squared(&point, row)) {
                    let left = left(simd, &known, &point, root_above(most));
                    for (i, row) in rows.iter().enumerate() {
                        prop_assert!(squared(&point, row) > most || left.contains(&(i as u32)), "{simd} {i} {left:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_far_goes() {
        // Up to more than is added up in 32 bits at a time.
        for width in [40, 64, 200, PIECE * TOGETHER + 9] {
            let row = |k: usize| (0..width).map(|j| ((j * 7 + k * 13) % 17) as f32 - 8.0).collect();
            let rows: Vec<Vec<f32>> = (0..9).map(row).collect();
            let mut point = rows[4].clone();
            point[3] += 1.0;
            for simd in Simd::available() {
                let known = bytes_of(simd, &rows, &vec![0.0; width]);
                assert_eq!(left(simd, &known, &point, 1.0), [4], "{simd} {width}");
            }
        }
    }

    #[test]
    fn rows_at_their_origin_and_the_longest_there_are_stay() {
        for value in [0.0, 1.0, f32::MAX] {
            let rows = [vec![value; 70], vec![-value; 70]];
            for simd in Simd::available() {
                let known = bytes_of(simd, &rows, &rows[0]);
                assert!(left(simd, &known, &rows[0], 0.0).contains(&0), "{simd} {value}");
                assert!(left(simd, &known, &rows[0], f32::INFINITY).len() == 2, "{simd} {value}");
            }
        }
    }
}
