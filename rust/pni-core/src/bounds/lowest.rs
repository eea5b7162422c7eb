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
