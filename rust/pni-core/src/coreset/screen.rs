//! Which of the centres that might be nearer to a point its sketch, in bytes or in float32, cannot rule out.

use super::bounds::{BLOCK, decisive, difference_squared};
use super::centers::Centers;
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
fn within_body<I: Isa>(isa: I, squared: &[f32], units: f32, indices: &[u32], out: &mut Vec<u32>) {
    out.clear();
    let limit = isa.splat(decisive(units));
    let (blocks, _) = squared.as_chunks::<BLOCK>();
    // Four blocks at a time: a loop that ends when it cannot be foreseen costs as much as a comparison.
    for (blocks, indices) in blocks.chunks(4).zip(indices.chunks(4 * BLOCK)) {
        let mut open = 0u64;
        for (i, block) in blocks.iter().enumerate() {
            let within = !isa.above(isa.load(block), limit) & 0xffff;
            open |= u64::from(within) << (i * BLOCK);
        }
        // The last block may have empty lanes.
        open &= u64::MAX >> (4 * BLOCK - indices.len());
        while open != 0 {
            out.push(indices[open.trailing_zeros() as usize]);
            open &= open - 1;
        }
    }
}

multiversion! {
    /// Writes to `out` those of `indices` whose `squared` distance, by their sketches' bytes, is not proved to be above
    /// `units`.
    pub fn within_units(squared: &[f32], units: f32, indices: &[u32], out: &mut Vec<u32>) = within_body
}

#[inline(always)]
fn keep_near_body<I: Isa>(isa: I, centers: &Centers, sketch: &[f32], reach: f32, list: &mut Vec<u32>) {
    let mut kept = 0;
    for i in 0..list.len() {
        let center = list[i] as usize;
        let squared = difference_squared(isa, sketch, centers.sketch(center));
        list[kept] = center as u32;
        // Written so that NaN leaves the candidate in.
        let apart = squared > decisive(reach + centers.slack()[center]);
        kept += usize::from(!apart);
    }
    list.truncate(kept);
}

multiversion! {
    /// Keeps those of `list` whose sketches are not proved farther than `reach` from `sketch`.
    pub fn keep_near(centers: &Centers, sketch: &[f32], reach: f32, list: &mut Vec<u32>) = keep_near_body
}
