//! Scans over the bounds of one row.

use crate::bounds::products::PANEL;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

#[inline(always)]
fn lowest_body<I: Isa>(isa: I, scores: &[[f32; PANEL]], lowest: &[f32], wanted: &[u32]) -> f32 {
    if wanted.is_empty() {
        let (blocks, rest) = lowest.as_chunks::<LANES>();
        let infinite = isa.splat(f32::INFINITY);
        let least = blocks
            .iter()
            .fold(infinite, |least, block| isa.min(least, isa.load(block)));
        return rest.iter().copied().fold(isa.lowest(least), f32::min);
    }
    let mut least = f32::INFINITY;
    for ((scores, lowest), wanted) in scores.iter().zip(lowest).zip(wanted) {
        if *wanted == u32::MAX {
            least = least.min(*lowest);
        } else if *wanted != 0 && *lowest < least {
            let mut lanes = [f32::INFINITY; PANEL];
            for i in 0..PANEL {
                lanes[i] = if wanted >> i & 1 == 1 { scores[i] } else { f32::INFINITY };
            }
            let (halves, _) = lanes.as_chunks::<LANES>();
            least = least.min(isa.lowest(isa.min(isa.load(&halves[0]), isa.load(&halves[1]))));
        }
    }
    least
}

multiversion! {
    /// The lowest of a row's scores, `lowest` of which are its panels' lowest; only where a bit of `wanted` is
    /// set, unless that is empty.
    pub fn lowest(scores: &[[f32; PANEL]], lowest: &[f32], wanted: &[u32]) -> f32 = lowest_body
}

#[inline(always)]
fn collect_body<I: Isa>(
    isa: I,
    scores: &[[f32; PANEL]],
    lowest: &[f32],
    wanted: &[u32],
    limit: f32,
    first: u32,
    found: &mut Vec<u32>,
) {
    let limit = isa.splat(limit);
    for (block, lowest) in lowest.chunks(LANES).enumerate() {
        let mut low = [f32::INFINITY; LANES];
        low[..lowest.len()].copy_from_slice(lowest);
        let mut panels = !isa.above(isa.load(&low), limit) & ((1 << lowest.len()) - 1);
        while panels != 0 {
            let panel = block * LANES + panels.trailing_zeros() as usize;
            panels &= panels - 1;
            let allowed = wanted.get(panel).copied().unwrap_or(u32::MAX);
            // What a tile that nobody wanted left there means nothing.
            if allowed == 0 {
                continue;
            }
            let (halves, _) = scores[panel].as_chunks::<LANES>();
            let above = isa.above(isa.load(&halves[0]), limit) | isa.above(isa.load(&halves[1]), limit) << LANES;
            let within = allowed & !above;
            if within == 0 {
                continue;
            }
            for (half, bits) in [within & 0xffff, within >> LANES].into_iter().enumerate() {
                isa.add_numbers(bits, first + (panel * PANEL + half * LANES) as u32, found);
            }
        }
    }
}

multiversion! {
    /// Adds to `found` the columns, numbered from `first`, whose score is at most `limit`; of `wanted` ones only,
    /// unless that is empty. The other arguments are as for [`lowest`].
    pub fn collect(
        scores: &[[f32; PANEL]],
        lowest: &[f32],
        wanted: &[u32],
        limit: f32,
        first: u32,
        found: &mut Vec<u32>,
    ) = collect_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simd;

    #[test]
    fn scans_see_wanted_columns_only() {
        let scores = [[1.0, 5.0, 2.0, 7.0].repeat(8).try_into().unwrap(), [3.0; PANEL]];
        let lows = [1.0, 3.0];
        for simd in Simd::available() {
            assert_eq!(lowest(simd, &scores, &lows, &[]), 1.0);
            assert_eq!(lowest(simd, &scores, &lows, &[2, 1]), 3.0);
            assert_eq!(lowest(simd, &scores, &lows, &[8, 0]), 7.0);
            assert_eq!(lowest(simd, &scores, &lows, &[u32::MAX, 0]), 1.0);
            assert_eq!(lowest(simd, &scores, &lows, &[0, 0]), f32::INFINITY);
            let mut found = Vec::new();
            collect(simd, &scores, &lows, &[0b1101, 1], 2.0, 100, &mut found);
            assert_eq!(found, [100, 102]);
            found.clear();
            collect(simd, &scores[1..], &lows[1..], &[], 3.0, 0, &mut found);
            assert_eq!(found, (0..32).collect::<Vec<u32>>());
        }
    }
}
