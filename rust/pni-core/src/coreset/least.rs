//! The candidate that looks nearest.

use super::bounds::BLOCK;
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
