//! The lowest of many bounds, sixteen lanes at a time.

use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

#[inline(always)]
fn lowest_lane_body<I: Isa>(isa: I, values: &[f32]) -> usize {
    let (blocks, _) = values.as_chunks::<LANES>();
    let infinite = isa.splat(f32::INFINITY);
    let low = blocks.iter().fold(infinite, |low, block| isa.min(low, isa.load(block)));
    let low = isa.splat(isa.lowest(low));
    for (i, block) in blocks.iter().enumerate() {
        let lowest = !isa.above(isa.load(block), low) & 0xffff;
        if lowest != 0 {
            return i * LANES + lowest.trailing_zeros() as usize;
        }
    }
    0
}

multiversion! {
    /// The lane with the lowest value.
    pub fn lowest_lane(values: &[f32]) -> usize = lowest_lane_body
}

/// How many lanes [`low_lanes`] finds, at least.
pub const LOWEST: usize = 4;

#[inline(always)]
fn low_lanes_body<I: Isa>(isa: I, values: &[f32], limit: f32, found: &mut Vec<u32>) {
    let (blocks, _) = values.as_chunks::<LANES>();
    let infinite = isa.splat(f32::INFINITY);
    let low = blocks.iter().fold(infinite, |low, block| isa.min(low, isa.load(block)));
    let mut lows = [0.0; LANES];
    isa.store(low, &mut lows);
    // Of sixteen values, each the lowest of some, the lowest few: as many of all are no higher.
    let mut few = [f32::INFINITY; LOWEST];
    for mut value in lows {
        for few in &mut few {
            (*few, value) = (few.min(value), few.max(value));
        }
    }
    if few[0] <= limit {
        lanes_up_to_body(isa, values, few[LOWEST - 1].min(limit), found);
    }
}

multiversion! {
    /// Adds to `found` those of the [`LOWEST`] lanes with the lowest values, and maybe of others, whose value is at most `limit`.
    pub fn low_lanes(values: &[f32], limit: f32, found: &mut Vec<u32>) = low_lanes_body
}

#[inline(always)]
fn lanes_up_to_body<I: Isa>(isa: I, values: &[f32], limit: f32, found: &mut Vec<u32>) {
    let (blocks, _) = values.as_chunks::<LANES>();
    let limit = isa.splat(limit);
    for (i, block) in blocks.iter().enumerate() {
        let low = !isa.above(isa.load(block), limit) & 0xffff;
        if low != 0 {
            isa.add_numbers(low, (i * LANES) as u32, found);
        }
    }
}

multiversion! {
    /// Adds to `found` the lanes whose value is at most `limit`.
    pub fn lanes_up_to(values: &[f32], limit: f32, found: &mut Vec<u32>) = lanes_up_to_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simd;

    #[test]
    fn the_lowest_lanes_are_found() {
        let mut state = 5u64;
        for lanes in [16, 48, 400] {
            let mut values: Vec<f32> = (0..lanes)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 54) as f32
                })
                .collect();
            // The lowest may lie in one lane of all blocks.
            for (i, value) in values.iter_mut().skip(3).step_by(LANES).enumerate() {
                *value = -(i as f32);
            }
            values[1] = f32::INFINITY;
            values[2] = f32::NEG_INFINITY;
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            for simd in Simd::available() {
                for limit in [f32::NEG_INFINITY, sorted[2], 1e9, f32::INFINITY] {
                    let mut found = Vec::new();
                    low_lanes(simd, &values, limit, &mut found);
                    assert!(found.is_sorted());
                    let wanted = |value: f32| value <= limit && value <= sorted[LOWEST - 1];
                    for (lane, value) in values.iter().enumerate() {
                        let listed = found.contains(&(lane as u32));
                        assert!(listed || !wanted(*value), "{simd} {lanes} {limit} {lane}");
                        assert!(!listed || *value <= limit, "{simd} {lanes} {limit} {lane}");
                    }
                }
                let mut none = Vec::new();
                low_lanes(simd, &values[16..], -1e9, &mut none);
                assert!(none.is_empty());
                assert_eq!(lowest_lane(simd, &values), 2);
            }
        }
    }
}
