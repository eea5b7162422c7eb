//! Which of the centres that might be nearer to a point its bytes and its sketch cannot rule out.

use super::bounds::{BLOCK, decisive, difference_squared};
use super::bytes::View;
use crate::Simd;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// What is known of one point while it is compared with candidates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Probe<'a> {
    /// The point's sketch.
    pub sketch: &'a [f32],
    /// At least its distance to its nearest centre plus its sketch's slack.
    pub reach: f32,
    /// The same in units of the bytes, plus their error.
    pub units: f32,
    /// Centres below this are accounted for.
    pub seen: u32,
    /// The nearest centre so far.
    pub center: u32,
}

/// The candidates one point is compared with.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Which centre is in which lane.
    indices: &'a [u32],
    /// Squared distances of the bytes, in units.
    squared: &'a [f32],
    /// As in [`View`].
    slack: f32,
    /// Of all centres.
    sketches: &'a [f32],
    /// Of all centres.
    slacks: &'a [f32],
}

impl<'a> Candidates<'a> {
    /// Those of `view`, all centres given by `sketches` and `slacks`.
    pub fn new(indices: &'a [u32], squared: &'a [f32], view: View<'a>, sketches: &'a [f32], slacks: &'a [f32]) -> Self {
        Self {
            indices,
            squared,
            slack: view.slack,
            sketches,
            slacks,
        }
    }

    /// The centre in a lane; none behind the last.
    pub fn center(&self, lane: usize) -> Option<u32> {
        self.indices.get(lane).copied()
    }

    /// The lane that looks nearest.
    pub fn nearest(&self, simd: Simd) -> usize {
        least(simd, self.squared)
    }

    /// Whether the sketches leave the centre in this lane in doubt.
    #[inline(always)]
    fn open<I: Isa>(&self, isa: I, probe: &Probe<'_>, lane: usize) -> bool {
        let (index, width) = (self.indices[lane] as usize, probe.sketch.len());
        if self.indices[lane] < probe.seen || self.indices[lane] == probe.center {
            return false;
        }
        let squared = difference_squared(isa, probe.sketch, &self.sketches[index * width..][..width]);
        // Written so that NaN leaves the candidate in.
        let apart = squared > decisive(probe.reach + self.slacks[index]);
        !apart
    }

    /// The first lane in doubt from `from` on; the number of candidates where none is left.
    pub fn doubtful(&self, simd: Simd, probe: &Probe<'_>, from: usize) -> usize {
        doubtful(simd, self, probe, from, self.indices.len())
    }

    /// Whether the lane is in doubt.
    pub fn in_doubt(&self, simd: Simd, probe: &Probe<'_>, lane: usize) -> bool {
        doubtful(simd, self, probe, lane, (lane + 1).min(self.indices.len())) == lane
    }
}

#[inline(always)]
fn least_body<I: Isa>(isa: I, squared: &[f32]) -> usize {
    let (blocks, _) = squared.as_chunks::<BLOCK>();
    let (mut low, mut place) = (f32::INFINITY, 0);
    for (i, block) in blocks.iter().enumerate() {
        // A lower value than all before is rare: one for every time the number of blocks doubles.
        if isa.above(isa.splat(low), isa.load(block)) != 0 {
            for (lane, value) in block.iter().enumerate() {
                if *value < low {
                    (low, place) = (*value, i * BLOCK + lane);
                }
            }
        }
    }
    place
}

multiversion! {
    fn least(squared: &[f32]) -> usize = least_body
}

#[inline(always)]
fn doubtful_body<I: Isa>(isa: I, candidates: &Candidates<'_>, probe: &Probe<'_>, from: usize, end: usize) -> usize {
    let (blocks, _) = candidates.squared.as_chunks::<BLOCK>();
    let start = from / BLOCK;
    let limit = isa.splat(decisive(probe.units + candidates.slack));
    for (block, squared) in blocks.iter().enumerate().skip(start) {
        let mut open = !isa.above(isa.load(squared), limit) & 0xffff;
        if block == start {
            open &= u32::MAX << (from % BLOCK);
        }
        while open != 0 {
            let lane = block * BLOCK + open.trailing_zeros() as usize;
            open &= open - 1;
            // The last block may have empty lanes.
            if lane >= end {
                return candidates.indices.len();
            }
            if candidates.open(isa, probe, lane) {
                return lane;
            }
        }
    }
    candidates.indices.len()
}

multiversion! {
    fn doubtful(candidates: &Candidates<'_>, probe: &Probe<'_>, from: usize, end: usize) -> usize = doubtful_body
}
