//! Which of the centres that might be nearer to a cell's points the sketches cannot rule out.

use super::bounds::{BLOCK, beyond, difference_squared};
use super::centers::Centers;
use crate::simd::{fused, multiversion};

/// Leading components that are compared first, 16 candidates at a time.
const LEAD: usize = 16;

/// A later centre that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// At most the distance between the two centres.
    pub bound: f32,
    /// The later centre.
    pub index: u32,
}

/// The candidates of one cell, by ascending bound, their leading components side by side.
#[derive(Debug, Default)]
pub struct Cell {
    pub candidates: Vec<Candidate>,
    /// For each 16 candidates: LEAD rows (fewer in narrow sketches) of a component each, and a row of slacks.
    lanes: Vec<f32>,
}

/// What is known of one point while it is compared with candidates.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The point's sketch.
    pub sketch: &'a [f32],
    /// At least its distance to its nearest centre plus its sketch's slack.
    pub reach: f32,
    /// Candidates farther than this from the cell's centre cannot matter.
    pub horizon: f32,
    /// Centres below this are accounted for.
    pub seen: u32,
}

impl Cell {
    /// Lays out the leading components of the candidates; to be called when they have changed.
    pub fn pack(&mut self, centers: &Centers) {
        let lead = LEAD.min(centers.width());
        self.lanes.clear();
        self.lanes
            .resize(self.candidates.len().div_ceil(BLOCK) * (lead + 1) * BLOCK, 0.0);
        let blocks = self.lanes.chunks_exact_mut((lead + 1) * BLOCK);
        for (block, candidates) in blocks.zip(self.candidates.chunks(BLOCK)) {
            for (lane, candidate) in candidates.iter().enumerate() {
                let index = candidate.index as usize;
                for (component, value) in centers.sketch(index)[..lead].iter().enumerate() {
                    block[component * BLOCK + lane] = *value;
                }
                block[lead * BLOCK + lane] = centers.slack()[index];
            }
        }
    }

    /// The place, `from` or later, of the first candidate that the sketches do not rule out for a point; the number
    /// of candidates where none is left.
    pub fn screen(&self, simd: crate::Simd, probe: &Probe<'_>, from: usize, centers: &Centers) -> usize {
        screen(
            simd,
            probe,
            &self.candidates,
            &self.lanes,
            from,
            centers.sketches(),
            centers.slack(),
        )
    }
}

#[inline(always)]
fn screen_body<const FMA: bool>(
    probe: &Probe<'_>,
    candidates: &[Candidate],
    lanes: &[f32],
    from: usize,
    sketches: &[f32],
    slack: &[f32],
) -> usize {
    let width = probe.sketch.len();
    let lead = LEAD.min(width);
    let (rows, _) = lanes.as_chunks::<BLOCK>();
    let start = from / BLOCK;
    for (block, rows) in rows.chunks_exact(lead + 1).enumerate().skip(start) {
        let first = block * BLOCK;
        if candidates[first].bound > probe.horizon {
            break;
        }
        let mut sums = [0.0f32; BLOCK];
        for (value, row) in probe.sketch[..lead].iter().zip(rows) {
            for i in 0..BLOCK {
                let difference = value - row[i];
                sums[i] = fused::<FMA>(difference, difference, sums[i]);
            }
        }
        let mut open = 0u32;
        for i in 0..BLOCK {
            open |= u32::from(!beyond(sums[i], probe.reach + rows[lead][i])) << i;
        }
        if block == start {
            open &= u32::MAX << (from % BLOCK);
        }
        while open != 0 {
            let place = first + open.trailing_zeros() as usize;
            open &= open - 1;
            // The last block may have empty lanes.
            let Some(candidate) = candidates.get(place) else { break };
            if candidate.bound > probe.horizon {
                return candidates.len();
            }
            let index = candidate.index as usize;
            if candidate.index < probe.seen {
                continue;
            }
            if lead == width {
                return place;
            }
            let squared = difference_squared::<FMA>(probe.sketch, &sketches[index * width..][..width]);
            if !beyond(squared, probe.reach + slack[index]) {
                return place;
            }
        }
    }
    candidates.len()
}

multiversion! {
    fn screen(
        probe: &Probe<'_>,
        candidates: &[Candidate],
        lanes: &[f32],
        from: usize,
        sketches: &[f32],
        slack: &[f32],
    ) -> usize = screen_body
}
