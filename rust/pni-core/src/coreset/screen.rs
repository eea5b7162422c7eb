//! Which of the centres that might be nearer to a point the bytes of its sketch and of its row cannot rule out.

use super::bounds::{BLOCK, decisive};
use super::row_bytes::{RowBytes, RowProbe};
use crate::Simd;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// The candidates one point is compared with.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Which centre is in which lane.
    indices: &'a [u32],
    /// Squared distances of the sketches' bytes, in units.
    squared: &'a [f32],
    /// As in [`View`](super::bytes::View).
    slack: f32,
    rows: &'a RowBytes,
}

impl<'a> Candidates<'a> {
    pub fn new(indices: &'a [u32], squared: &'a [f32], slack: f32, rows: &'a RowBytes) -> Self {
        Self {
            indices,
            squared,
            slack,
            rows,
        }
    }

    /// The centre in a lane; none behind the last.
    pub fn center(&self, lane: usize) -> Option<u32> {
        self.indices.get(lane).copied()
    }

    /// The first lane in doubt from `from` on, but for `known`; the number of candidates where none is left. `units`: at
    /// least the distance to beat plus the error of the point's sketch, in units of the sketches' bytes.
    pub fn doubtful(&self, simd: Simd, probe: &RowProbe<'_>, units: f32, from: usize, known: usize) -> usize {
        doubtful(simd, self, probe, decisive(units + self.slack), from, known)
    }
}

#[inline(always)]
fn least_body<I: Isa>(isa: I, squared: &[f32]) -> usize {
    let (blocks, _) = squared.as_chunks::<BLOCK>();
    let mut lanes = [0.0; BLOCK];
    let infinite = isa.splat(f32::INFINITY);
    let low = blocks.iter().fold(infinite, |low, block| isa.min(low, isa.load(block)));
    isa.store(low, &mut lanes);
    let low = isa.splat(lanes.into_iter().fold(f32::INFINITY, f32::min));
    for (i, block) in blocks.iter().enumerate() {
        let lowest = !isa.above(isa.load(block), low) & 0xffff;
        if lowest != 0 {
            return i * BLOCK + lowest.trailing_zeros() as usize;
        }
    }
    0
}

multiversion! {
    /// The lane with the lowest value.
    pub fn least(squared: &[f32]) -> usize = least_body
}

#[inline(always)]
fn doubtful_body<I: Isa>(
    isa: I,
    candidates: &Candidates<'_>,
    probe: &RowProbe<'_>,
    limit: f32,
    from: usize,
    known: usize,
) -> usize {
    let (blocks, _) = candidates.squared.as_chunks::<BLOCK>();
    let (start, limit) = (from / BLOCK, isa.splat(limit));
    for (block, squared) in blocks.iter().enumerate().skip(start) {
        let mut open = !isa.above(isa.load(squared), limit) & 0xffff;
        if block == start {
            open &= u32::MAX << (from % BLOCK);
        }
        while open != 0 {
            let lane = block * BLOCK + open.trailing_zeros() as usize;
            open &= open - 1;
            // The last block may have empty lanes.
            let Some(index) = candidates.center(lane) else {
                return candidates.indices.len();
            };
            if lane != known && !candidates.rows.apart(isa, probe, index as usize) {
                return lane;
            }
        }
    }
    candidates.indices.len()
}

multiversion! {
    fn doubtful(
        candidates: &Candidates<'_>,
        probe: &RowProbe<'_>,
        limit: f32,
        from: usize,
        known: usize,
    ) -> usize = doubtful_body
}
