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
