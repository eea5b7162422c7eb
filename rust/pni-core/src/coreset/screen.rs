//! Which of the centres that might be nearer to a point the sketches cannot rule out.
//!
//! First the leading components, four points against sixteen candidates at a time; then whole sketches, for the
//! few candidates left.

use super::bounds::{ABSOLUTE, BLOCK, RELATIVE, decisive, difference_squared};
use super::cell::{Candidate, GROUP};
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

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
    /// See [`super::cell::Cell::lead`].
    pub fn lead(sketches: [&[f32]; GROUP], lanes: &[f32], stride: usize, out: &mut [f32]) = lead_body
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
    /// See [`super::cell::Cell::nearest`].
    pub fn nearest(
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
    /// See [`super::cell::Cell::doubtful`].
    pub fn doubtful(
        probe: &Probe<'_>,
        candidates: &[Candidate],
        slack: &[f32],
        from: usize,
        lead: &mut [f32],
        sketches: &[f32],
    ) -> usize = doubtful_body
}
