//! Which of the centres that might be nearer to a cell's points the sketches cannot rule out.

use super::bounds::{ABSOLUTE, BLOCK, LEAD, RELATIVE, compare, decisive, difference_squared};
use super::centers::Centers;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// Rows of a packed block besides the components.
const EXTRA: usize = 2;

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
    /// For each 16 candidates: LEAD rows (fewer in narrow sketches) of a component each, a row of slacks, and a
    /// row of indices (rounded where float32 cannot hold them: rounding keeps their order).
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
    /// The nearest centre so far.
    pub center: u32,
}

impl Cell {
    /// Lays out the leading components of the candidates; to be called when they have changed.
    pub fn pack(&mut self, centers: &Centers) {
        let lead = LEAD.min(centers.width());
        self.lanes.clear();
        self.lanes
            .resize(self.candidates.len().div_ceil(BLOCK) * (lead + EXTRA) * BLOCK, 0.0);
        let blocks = self.lanes.chunks_exact_mut((lead + EXTRA) * BLOCK);
        for (block, candidates) in blocks.zip(self.candidates.chunks(BLOCK)) {
            for (lane, candidate) in candidates.iter().enumerate() {
                let index = candidate.index as usize;
                for (component, value) in centers.sketch(index)[..lead].iter().enumerate() {
                    block[component * BLOCK + lane] = *value;
                }
                block[lead * BLOCK + lane] = centers.slack()[index];
                block[(lead + 1) * BLOCK + lane] = index as f32;
            }
        }
    }

    /// The place of the candidate that looks nearest to a point; the number of candidates where none is in doubt.
    pub fn aim(&self, simd: crate::Simd, probe: &Probe<'_>) -> usize {
        aim(simd, probe, &self.candidates, &self.lanes)
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

/// Squared distances to a block of candidates in the leading components, and a bit for each that stays in doubt.
#[inline(always)]
fn doubtful<I: Isa>(isa: I, probe: &Probe<'_>, rows: &[[f32; BLOCK]], lead: usize) -> (I::F, u32) {
    let sums = compare(isa, &probe.sketch[..lead], rows);
    let reach = isa.add(isa.splat(probe.reach), isa.load(&rows[lead]));
    // As `decisive`, for all lanes: reach·(1 + 8·RELATIVE) · reach + ABSOLUTE.
    let wide = isa.mul_add(reach, isa.splat(8.0 * RELATIVE), reach);
    let squared = isa.mul_add(wide, reach, isa.splat(ABSOLUTE));
    let ruled_out = isa.above(sums, squared) | isa.above(isa.splat(probe.seen as f32), isa.load(&rows[lead + 1]));
    (sums, !ruled_out & 0xffff)
}

#[inline(always)]
fn aim_body<I: Isa>(isa: I, probe: &Probe<'_>, candidates: &[Candidate], lanes: &[f32]) -> usize {
    let lead = LEAD.min(probe.sketch.len());
    let (rows, _) = lanes.as_chunks::<BLOCK>();
    let (mut least, mut place) = (f32::INFINITY, candidates.len());
    for (block, rows) in rows.chunks_exact(lead + EXTRA).enumerate() {
        let first = block * BLOCK;
        if candidates[first].bound > probe.horizon {
            break;
        }
        let (sums, open) = doubtful(isa, probe, rows, lead);
        let mut better = open & isa.above(isa.splat(least), sums);
        if better != 0 {
            let mut values = [0.0; BLOCK];
            isa.store(sums, &mut values);
            while better != 0 {
                let lane = better.trailing_zeros() as usize;
                better &= better - 1;
                // The last block may have empty lanes.
                if values[lane] < least && first + lane < candidates.len() {
                    (least, place) = (values[lane], first + lane);
                }
            }
        }
    }
    place
}

multiversion! {
    fn aim(probe: &Probe<'_>, candidates: &[Candidate], lanes: &[f32]) -> usize = aim_body
}

#[inline(always)]
fn screen_body<I: Isa>(
    isa: I,
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
    for (block, rows) in rows.chunks_exact(lead + EXTRA).enumerate().skip(start) {
        let first = block * BLOCK;
        if candidates[first].bound > probe.horizon {
            break;
        }
        let (_, mut open) = doubtful(isa, probe, rows, lead);
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
            if candidate.index < probe.seen || candidate.index == probe.center {
                continue;
            }
            if lead == width {
                return place;
            }
            let squared = difference_squared(isa, probe.sketch, &sketches[index * width..][..width]);
            // Written so that NaN leaves the candidate in.
            if squared > decisive(probe.reach + slack[index]) {
                continue;
            }
            return place;
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
