//! The candidates that look nearest.

use crate::bounds::sketch::compare::BLOCK;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

#[inline(always)]
fn least_body<I: Isa>(isa: I, squared: &[f32]) -> usize {
    let (blocks, _) = squared.as_chunks::<BLOCK>();
    let infinite = isa.splat(f32::INFINITY);
    let low = blocks.iter().fold(infinite, |low, block| isa.min(low, isa.load(block)));
    let low = isa.splat(isa.lowest(low));
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
fn up_to_body<I: Isa>(isa: I, squared: &[f32], limit: f32, found: &mut Vec<u32>) {
    let (blocks, _) = squared.as_chunks::<BLOCK>();
    let limit = isa.splat(limit);
    for (i, block) in blocks.iter().enumerate() {
        let within = !isa.above(isa.load(block), limit) & 0xffff;
        if within != 0 {
            isa.add_numbers(within, (i * BLOCK) as u32, found);
        }
    }
}

multiversion! {
    /// Adds to `found` the lanes whose value is at most `limit`.
    pub fn up_to(squared: &[f32], limit: f32, found: &mut Vec<u32>) = up_to_body
}
