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
        if self.accounted_for(probe, lane) {
            return false;
        }
        let squared = difference_squared(isa, probe.sketch, &self.sketches[index * width..][..width]);
        // Written so that NaN leaves the candidate in.
        let apart = squared > decisive(probe.reach + self.slacks[index]);
        !apart
    }

    /// Whether the centre in this lane is the point's own or one that it has seen.
    pub fn accounted_for(&self, probe: &Probe<'_>, lane: usize) -> bool {
        self.center(lane)
            .is_some_and(|index| index < probe.seen || index == probe.center)
    }

    /// The first lane in doubt from `from` on; the number of candidates where none is left.
    pub fn doubtful(&self, simd: Simd, probe: &Probe<'_>, from: usize) -> usize {
        doubtful(simd, self, probe, from)
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
fn doubtful_body<I: Isa>(isa: I, candidates: &Candidates<'_>, probe: &Probe<'_>, from: usize) -> usize {
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
            if lane >= candidates.indices.len() {
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
    fn doubtful(candidates: &Candidates<'_>, probe: &Probe<'_>, from: usize) -> usize = doubtful_body
}
