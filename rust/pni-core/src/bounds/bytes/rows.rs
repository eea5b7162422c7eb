//! Whole rows in bytes, to be compared one with many: they rule out nearly all that short sketches leave in doubt.

use super::quantize::{REACH, quantize};
use crate::sample::sample;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::{multiversion, prefetch};
use crate::threads::Team;
use crate::{Result, Simd, memory};
use std::sync::{Mutex, PoisonError};

/// Bytes of a row come in pieces of this length, the last filled up with 0.
pub const PIECE: usize = 4 * LANES;

/// A value is cut off beyond so many times the root of the mean square of a typical row. Finer units would lose more by
/// cutting off than they gain, coarser ones by rounding (measured: from 3 to 5 it makes little difference).
const SPREAD: f32 = 3.5;

/// Rows that are asked what is typical, at most.
const TYPICAL_ROWS: usize = 256;

/// Rows a thread takes at a time.
const PART: usize = 64;

/// Rows that are asked for before they are needed: they lie anywhere.
const AHEAD: usize = 8;

/// Pieces whose squares are added up in 32 bits: four of at most 126² to a lane and piece.
const TOGETHER: usize = 1 << 12;

/// What the rounding of a float32 sum and of its root takes, relative, and more (BOUNDS.md, *Rows in bytes*).
const ROUNDING: f32 = 1e-5;

/// The same of a squared limit and of all it is made from.
const LIMIT_ROUNDING: f32 = 4.0 * ROUNDING;

/// Rows in bytes around one origin.
#[derive(Debug)]
pub struct RowBytes {
    origin: Vec<f32>,
    /// Units to one.
    scale: f32,
    /// Pieces of a row.
    pieces: usize,
    values: Vec<[i8; PIECE]>,
    /// As [`quantize`] returns them.
    errors: Vec<f32>,
}

/// Rows that are left when one is compared with them; buffers of a thread.
#[derive(Debug, Default)]
pub struct Narrowed {
    /// Their numbers, in the order they were given.
    pub rows: Vec<u32>,
    /// At most the distance to each, in units.
    lower: Vec<f32>,
    bytes: Vec<[i8; PIECE]>,
}

impl RowBytes {
    /// The bytes of `count` rows, counted from `origin`.
    pub fn new<'a>(
        count: usize,
        origin: Vec<f32>,
        row: impl Fn(usize) -> &'a [f32] + Sync,
        simd: Simd,
        team: &Team<'_>,
    ) -> Result<Self> {
        let pieces = origin.len().div_ceil(PIECE);
        let spread = |i: usize| {
            let squares = row(i).iter().zip(&origin).map(|(x, y)| (x - y) * (x - y));
            (squares.sum::<f32>() / origin.len() as f32).sqrt()
        };
        let mut typical: Vec<f32> = sample(count, TYPICAL_ROWS).map(spread).collect();
        typical.sort_unstable_by(f32::total_cmp);
        let typical = typical[typical.len() / 2].clamp(1e-30, 1e30);
        let scale = f32::from(REACH) / (SPREAD * typical);
        let (mut values, mut errors) = (memory::zeros::<[i8; PIECE]>(count * pieces), memory::zeros(count));
        let parts = values.chunks_mut(PART * pieces).zip(errors.chunks_mut(PART));
        let parts = memory::collected(parts.map(Mutex::new));
        team.each(parts.len(), |part| {
            let (values, errors) = &mut *parts[part].lock().unwrap_or_else(PoisonError::into_inner);
            for (i, (bytes, error)) in values.chunks_exact_mut(pieces).zip(&mut **errors).enumerate() {
                *error = quantize(simd, row(part * PART + i), &origin, scale, bytes.as_flattened_mut());
            }
        })?;
        drop(parts);
        Ok(Self {
            origin,
            scale,
            pieces,
            values,
            errors,
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.origin.len()
    }

    /// Pieces of [`PIECE`] bytes that a row comes in.
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// The bytes of a row, and their error in units.
    pub fn row(&self, row: usize) -> (&[[i8; PIECE]], f32) {
        (&self.values[row * self.pieces..][..self.pieces], self.errors[row])
    }

    /// Writes the bytes of another row to as many pieces; returns their error in units.
    pub fn quantize(&self, simd: Simd, row: &[f32], bytes: &mut [[i8; PIECE]]) -> f32 {
        quantize(simd, row, &self.origin, self.scale, bytes.as_flattened_mut())
    }

    /// Keeps those of `left` that may be within `distance` of `row`.
    pub fn narrow(&self, simd: Simd, row: &[f32], distance: f32, left: &mut Narrowed) {
        memory::resize(&mut left.bytes, self.pieces, [0; PIECE]);
        let error = self.quantize(simd, row, &mut left.bytes);
        narrow(simd, self, error, self.reach(distance), left);
    }

    /// At least a distance in units.
    pub fn reach(&self, distance: f32) -> f32 {
        distance * self.scale * (1.0 + ROUNDING)
    }

    /// The squared distance, in units, of a row's bytes to others.
    #[inline(always)]
    fn squared<I: Isa>(&self, isa: I, bytes: &[[i8; PIECE]], row: usize) -> f32 {
        let own = &self.values[row * self.pieces..][..self.pieces];
        let part = |a: &[[i8; PIECE]], b: &[[i8; PIECE]]| {
            let mut sums = isa.zero_int();
            for (a, b) in a.iter().zip(b) {
                sums = isa.add_byte_squares(sums, a, b);
            }
            isa.sum(isa.to_float(sums))
        };
        if bytes.len() <= TOGETHER {
            return part(bytes, own);
        }
        let parts = bytes.chunks(TOGETHER).zip(own.chunks(TOGETHER));
        parts.map(|(a, b)| part(a, b)).sum()
    }
}

impl Narrowed {
    /// The rows that are left, each with at most its distance in units; the one that looks nearest first.
    pub fn nearest_first(&mut self) -> impl Iterator<Item = (u32, f32)> {
        let nearest = (0..self.rows.len()).min_by(|a, b| self.lower[*a].total_cmp(&self.lower[*b]));
        if let Some(nearest) = nearest {
            self.rows.swap(0, nearest);
            self.lower.swap(0, nearest);
        }
        self.rows.iter().copied().zip(self.lower.iter().copied())
    }
}

#[inline(always)]
fn narrow_body<I: Isa>(isa: I, known: &RowBytes, error: f32, reach: f32, left: &mut Narrowed) {
    let Narrowed { rows, lower, bytes } = left;
    lower.clear();
    memory::resize(lower, rows.len(), 0.0);
    let mut kept = 0;
    // Without a branch on what is kept: it could not be foreseen.
    for i in 0..rows.len() {
        let row = rows[i];
        if let Some(later) = rows.get(i + AHEAD) {
            prefetch(known.row(*later as usize).0);
        }
        let squared = known.squared(isa, bytes, row as usize);
        (rows[kept], lower[kept]) = (row, squared);
        let most = reach + (error + known.errors[row as usize]);
        let apart = squared > most * most * (1.0 + LIMIT_ROUNDING);
        kept += usize::from(!apart);
    }
    rows.truncate(kept);
    lower.truncate(kept);
    for (row, lower) in rows.iter().zip(lower) {
        *lower = lower.sqrt() * (1.0 - ROUNDING) - (error + known.errors[*row as usize]);
    }
}

multiversion! {
    fn narrow(known: &RowBytes, error: f32, reach: f32, left: &mut Narrowed) = narrow_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::root_above;
    use crate::{Context, Control};
    use proptest::prelude::*;

    fn bytes_of(simd: Simd, rows: &[Vec<f32>], origin: &[f32]) -> RowBytes {
        let control = Control::default();
        let context = Context {
            simd,
            threads: 2,
            control: &control,
        };
        Team::with(&context, |team| {
            RowBytes::new(rows.len(), origin.to_vec(), |i| &rows[i][..], simd, team)
        })
        .expect("nobody cancels")
    }

    /// Which of `known` are not proved farther than `reach` from `point`.
    fn left(simd: Simd, known: &RowBytes, point: &[f32], reach: f32) -> Narrowed {
        let mut left = Narrowed {
            rows: (0..known.len() as u32).collect(),
            ..Narrowed::default()
        };
        known.narrow(simd, point, reach, &mut left);
        left
    }

    fn squared(a: &[f32], b: &[f32]) -> f64 {
        let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
        a.iter().zip(b).map(square).sum::<f64>()
    }

    proptest! {
        /// No center within the distance is ever ruled out, whatever is cut off or far from the origin.
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
                    let mut left = left(simd, &known, &point, root_above(most));
                    let reach = known.reach(root_above(most));
                    // What stays is hardly beyond it.
                    prop_assert!(left.nearest_first().all(|(_, lower)| lower <= reach * 1.000_1 + 0.01));
                    for (i, row) in rows.iter().enumerate() {
                        prop_assert!(squared(&point, row) > most || left.rows.contains(&(i as u32)), "{simd} {i} {left:?}");
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
                assert_eq!(left(simd, &known, &point, 1.0).rows, [4], "{simd} {width}");
            }
        }
    }

    #[test]
    fn rows_at_their_origin_and_the_longest_there_are_stay() {
        for value in [0.0, 1.0, f32::MAX] {
            let rows = [vec![value; 70], vec![-value; 70]];
            for simd in Simd::available() {
                let known = bytes_of(simd, &rows, &rows[0]);
                assert!(left(simd, &known, &rows[0], 0.0).rows.contains(&0), "{simd} {value}");
                assert!(
                    left(simd, &known, &rows[0], f32::INFINITY).rows.len() == 2,
                    "{simd} {value}"
                );
            }
        }
    }
}
