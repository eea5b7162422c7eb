//! The later centres that may be nearer to the points of one cell, laid out to be compared with them.

use super::bounds::{BLOCK, LEAD};
use super::centers::Centers;
use super::screen::{Probe, doubtful, lead, nearest};
use crate::Simd;

/// Points whose leading components are compared together.
pub const GROUP: usize = 4;

/// A later centre that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// At most the distance between the two centres.
    pub bound: f32,
    /// The later centre.
    pub index: u32,
}

/// The candidates of some points with the same nearest centre.
#[derive(Debug, Default)]
pub struct Cell {
    /// By ascending bound.
    pub candidates: Vec<Candidate>,
    slack: Vec<f32>,
    /// For each 16 candidates: LEAD rows (fewer in narrow sketches) of a component each. Empty when the candidates
    /// are all centres from `first` on, whose own blocks serve.
    lanes: Vec<f32>,
    first: usize,
    lead: usize,
}

impl Cell {
    /// Lays out the leading components of the candidates, found within `horizon` of the cell's among the centres from
    /// `seen` on.
    pub fn pack(&mut self, seen: usize, horizon: f32, centers: &Centers) {
        self.lead = LEAD.min(centers.width());
        self.lanes.clear();
        self.slack.clear();
        // Laying out a candidate costs as much as comparing several.
        if 3 * self.candidates.len() >= centers.len() - seen {
            self.first = seen / BLOCK * BLOCK;
            let all = self.first..centers.len();
            self.candidates.clear();
            self.candidates.extend(all.map(|index| Candidate {
                bound: 0.0,
                index: index as u32,
            }));
            self.slack.extend_from_slice(&centers.slack()[self.first..]);
            return;
        }
        sort_roughly(&mut self.candidates, horizon);
        self.slack.extend(
            self.candidates
                .iter()
                .map(|candidate| centers.slack()[candidate.index as usize]),
        );
        self.lanes
            .resize(self.candidates.len().div_ceil(BLOCK) * self.lead * BLOCK, 0.0);
        let blocks = self.lanes.chunks_exact_mut(self.lead * BLOCK);
        for (block, candidates) in blocks.zip(self.candidates.chunks(BLOCK)) {
            for (lane, candidate) in candidates.iter().enumerate() {
                let sketch = &centers.sketch(candidate.index as usize)[..self.lead];
                for (row, value) in block.chunks_exact_mut(BLOCK).zip(sketch) {
                    row[lane] = *value;
                }
            }
        }
    }

    /// Squared distances, in the leading components, of up to four points to the candidates within `horizon`: a
    /// run of `stride` values for each point. Returns `stride`.
    pub fn lead(
        &self,
        simd: Simd,
        sketches: [&[f32]; GROUP],
        horizon: f32,
        centers: &Centers,
        out: &mut Vec<f32>,
    ) -> usize {
        let near = self.candidates.partition_point(|candidate| candidate.bound <= horizon);
        let blocks = near.div_ceil(BLOCK);
        out.resize(GROUP * blocks * BLOCK, 0.0);
        let sketches = sketches.map(|sketch| &sketch[..self.lead]);
        if self.lanes.is_empty() {
            let own = &centers.blocks()[self.first * centers.width()..];
            lead(simd, sketches, own, centers.width(), out);
        } else {
            lead(simd, sketches, &self.lanes, self.lead, out);
        }
        blocks * BLOCK
    }

    /// The place of the candidate whose sketch is nearest to the point's, of those not ruled out by `lead`, the
    /// point's run of distances in the leading components; the number of candidates where none is in doubt.
    /// Whole distances, where they were needed, replace those in `lead`.
    pub fn nearest(&self, simd: Simd, probe: &Probe<'_>, lead: &mut [f32], centers: &Centers) -> usize {
        nearest(simd, probe, &self.candidates, &self.slack, lead, centers.sketches())
    }

    /// The place, `from` or later, of the first candidate that is not ruled out; the number of candidates where
    /// none is left.
    pub fn doubtful(&self, simd: Simd, probe: &Probe<'_>, from: usize, lead: &mut [f32], centers: &Centers) -> usize {
        doubtful(
            simd,
            probe,
            &self.candidates,
            &self.slack,
            from,
            lead,
            centers.sketches(),
        )
    }
}

/// Orders candidates by bound, after rounding each bound (from 0 to `horizon`) down to one of a few steps: a lower
/// bound it stays.
fn sort_roughly(candidates: &mut [Candidate], horizon: f32) {
    const STEPS: usize = 128;
    let scale = STEPS as f32 / horizon;
    if candidates.len() < STEPS || !(scale.is_finite() && scale > 0.0) {
        return candidates.sort_unstable_by(|a, b| a.bound.total_cmp(&b.bound));
    }
    let step = |candidate: &Candidate| ((candidate.bound * scale) as usize).min(STEPS - 1);
    let mut starts = [0u32; STEPS + 1];
    for candidate in &*candidates {
        starts[step(candidate) + 1] += 1;
    }
    for i in 0..STEPS {
        starts[i + 1] += starts[i];
    }
    let before = candidates.to_vec();
    for candidate in before {
        let step = step(&candidate);
        let bound = (step as f32 / scale).min(candidate.bound);
        candidates[starts[step] as usize] = Candidate { bound, ..candidate };
        starts[step] += 1;
    }
}
