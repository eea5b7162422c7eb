//! Which of the centres that might be nearer to a point the sketches cannot rule out.
//!
//! First the leading components, four points against sixteen candidates at a time; then whole sketches, for the
//! few candidates left.

use super::bounds::{ABSOLUTE, BLOCK, LEAD, RELATIVE, decisive, difference_squared};
use super::centers::Centers;
use crate::Simd;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

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

/// What is known of one point while it is compared with candidates.
#[derive(Debug, Clone, Copy, Default)]
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

#[inline(always)]
fn lead_body<I: Isa>(isa: I, sketches: [&[f32]; GROUP], lanes: &[f32], stride: usize, out: &mut [f32]) {
    let components = sketches[0].len();
    let (rows, _) = lanes.as_chunks::<BLOCK>();
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    let blocks = out.len() / GROUP;
    let [a, b, c, d] = sketches;
    for (block, rows) in rows.chunks_exact(stride).enumerate().take(blocks) {
        let mut sums = [isa.splat(0.0); GROUP];
        let values = a.iter().zip(b).zip(c.iter().zip(d));
        for (((a, b), (c, d)), row) in values.zip(&rows[..components]) {
            let row = isa.load(row);
            for (sum, value) in sums.iter_mut().zip([a, b, c, d]) {
                let difference = isa.sub(isa.splat(*value), row);
                *sum = isa.mul_add(difference, difference, *sum);
            }
        }
        for (point, sum) in sums.into_iter().enumerate() {
            isa.store(sum, &mut out[point * blocks + block]);
        }
    }
}

multiversion! {
    fn lead(sketches: [&[f32]; GROUP], lanes: &[f32], stride: usize, out: &mut [f32]) = lead_body
}

/// A bit for each of a block's candidates at a squared distance of at most `limit`.
#[inline(always)]
fn within<I: Isa>(isa: I, lead: &[f32; BLOCK], limit: I::F) -> u32 {
    !isa.above(isa.load(lead), limit) & 0xffff
}

/// For a block of candidates, the largest squared distance of sketches that proves nothing.
#[inline(always)]
fn limits<I: Isa>(isa: I, reach: f32, slack: &[f32]) -> I::F {
    let (full, _) = slack.as_chunks::<BLOCK>();
    let slack = full
        .first()
        .map_or_else(|| isa.load_part(slack), |slack| isa.load(slack));
    let reach = isa.add(isa.splat(reach), slack);
    // As `decisive`, for all lanes.
    let wide = isa.mul_add(reach, isa.splat(8.0 * RELATIVE), reach);
    isa.mul_add(wide, reach, isa.splat(ABSOLUTE))
}

#[inline(always)]
fn nearest_body<I: Isa>(
    isa: I,
    probe: &Probe<'_>,
    candidates: &[Candidate],
    slack: &[f32],
    lead: &mut [f32],
    sketches: &[f32],
) -> usize {
    let width = probe.sketch.len();
    let (blocks, _) = lead.as_chunks_mut::<BLOCK>();
    let (mut least, mut place) = (f32::INFINITY, candidates.len());
    // The nearest in the leading components first: it leaves little room for others.
    let (mut low, mut start) = (f32::INFINITY, candidates.len());
    for (block, lead) in blocks.iter().enumerate() {
        let mut open = within(isa, lead, isa.splat(low));
        while open != 0 {
            let lane = open.trailing_zeros() as usize;
            open &= open - 1;
            let Some(candidate) = candidates.get(block * BLOCK + lane) else {
                break;
            };
            if lead[lane] < low && candidate.index >= probe.seen {
                (low, start) = (lead[lane], block * BLOCK + lane);
            }
        }
    }
    if let Some(candidate) = candidates.get(start) {
        let squared = difference_squared(
            isa,
            probe.sketch,
            &sketches[candidate.index as usize * width..][..width],
        );
        blocks[start / BLOCK][start % BLOCK] = squared;
        if squared <= decisive(probe.reach + slack[start]) {
            (least, place) = (squared, start);
        }
    }
    for (block, lead) in blocks.iter_mut().enumerate() {
        let first = block * BLOCK;
        let mut open = within(isa, lead, isa.splat(least));
        if open != 0 {
            open &= within(isa, lead, limits(isa, probe.reach, &slack[first..]));
        }
        while open != 0 {
            let lane = open.trailing_zeros() as usize;
            open &= open - 1;
            // The last block may have empty lanes; `least` may have fallen since.
            let Some(candidate) = candidates.get(first + lane) else {
                break;
            };
            if candidate.index < probe.seen || lead[lane] > least {
                continue;
            }
            let index = candidate.index as usize;
            let squared = difference_squared(isa, probe.sketch, &sketches[index * width..][..width]);
            lead[lane] = squared;
            if squared < least && squared <= decisive(probe.reach + slack[first + lane]) {
                (least, place) = (squared, first + lane);
            }
        }
    }
    place
}

multiversion! {
    fn nearest(
        probe: &Probe<'_>,
        candidates: &[Candidate],
        slack: &[f32],
        lead: &mut [f32],
        sketches: &[f32],
    ) -> usize = nearest_body
}

#[inline(always)]
fn doubtful_body<I: Isa>(
    isa: I,
    probe: &Probe<'_>,
    candidates: &[Candidate],
    slack: &[f32],
    from: usize,
    lead: &mut [f32],
    sketches: &[f32],
) -> usize {
    let width = probe.sketch.len();
    let (blocks, _) = lead.as_chunks_mut::<BLOCK>();
    let start = from / BLOCK;
    for (block, lead) in blocks.iter_mut().enumerate().skip(start) {
        let first = block * BLOCK;
        if candidates[first].bound > probe.horizon {
            break;
        }
        let mut open = within(isa, lead, limits(isa, probe.reach, &slack[first..]));
        if block == start {
            open &= u32::MAX << (from % BLOCK);
        }
        while open != 0 {
            let lane = open.trailing_zeros() as usize;
            let place = first + lane;
            open &= open - 1;
            let Some(candidate) = candidates.get(place) else { break };
            if candidate.index < probe.seen || candidate.index == probe.center {
                continue;
            }
            let index = candidate.index as usize;
            let squared = difference_squared(isa, probe.sketch, &sketches[index * width..][..width]);
            lead[lane] = squared;
            // Written so that NaN leaves the candidate in.
            if squared > decisive(probe.reach + slack[place]) {
                continue;
            }
            return place;
        }
    }
    candidates.len()
}

multiversion! {
    fn doubtful(
        probe: &Probe<'_>,
        candidates: &[Candidate],
        slack: &[f32],
        from: usize,
        lead: &mut [f32],
        sketches: &[f32],
    ) -> usize = doubtful_body
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
