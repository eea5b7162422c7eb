//! float32 arithmetic on sketches: it bounds distances, and never decides.

use crate::simd::{fused, multiversion};

/// Centres in a block: one lane each.
pub const BLOCK: usize = 16;

/// A relative error no sum of squares below exceeds: up to 64 terms, each rounded three times.
pub const RELATIVE: f32 = 1e-5;

/// What is lost to underflow in such a sum, at most.
pub const ABSOLUTE: f32 = 1e-30;

#[inline(always)]
pub fn difference_squared<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK>();
    let mut sum = 0.0;
    for (x, y) in a_rest.iter().zip(b_rest) {
        let difference = x - y;
        sum = fused::<FMA>(difference, difference, sum);
    }
    if a_blocks.is_empty() {
        return sum;
    }
    let mut lanes = [0.0f32; BLOCK];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..BLOCK {
            let difference = x[i] - y[i];
            lanes[i] = fused::<FMA>(difference, difference, lanes[i]);
        }
    }
    let mut half = BLOCK / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    sum + lanes[0]
}

/// Whether sketches this far apart (squared) prove the points to be farther apart than `reach`. False for NaN.
#[inline(always)]
pub fn beyond(squared: f32, reach: f32) -> bool {
    squared > fused::<false>(reach * reach, 1.0 + 4.0 * RELATIVE, ABSOLUTE)
}

#[inline(always)]
fn near_body<const FMA: bool>(sketch: &[f32], other: &[f32], reach: f32) -> bool {
    !beyond(difference_squared::<FMA>(sketch, other), reach)
}

multiversion! {
    /// Whether the sketches allow the points to be within `reach` of each other.
    pub fn near(sketch: &[f32], other: &[f32], reach: f32) -> bool = near_body
}

#[inline(always)]
fn blocks_body<const FMA: bool>(sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) {
    /// Leading components after which a block may be given up.
    const LEAD: usize = 16;
    let width = sketch.len();
    for (block, out) in blocks.chunks_exact(width * BLOCK).zip(out.chunks_exact_mut(BLOCK)) {
        let mut even = [0.0f32; BLOCK];
        let mut odd = [0.0f32; BLOCK];
        let (lanes, _) = block.as_chunks::<BLOCK>();
        let mut done = 0;
        for end in [LEAD.min(width), width] {
            let mut pairs = done;
            while pairs + 1 < end {
                for i in 0..BLOCK {
                    let difference = sketch[pairs] - lanes[pairs][i];
                    even[i] = fused::<FMA>(difference, difference, even[i]);
                    let difference = sketch[pairs + 1] - lanes[pairs + 1][i];
                    odd[i] = fused::<FMA>(difference, difference, odd[i]);
                }
                pairs += 2;
            }
            if pairs < end {
                for i in 0..BLOCK {
                    let difference = sketch[pairs] - lanes[pairs][i];
                    even[i] = fused::<FMA>(difference, difference, even[i]);
                }
            }
            done = end;
            let mut least = f32::INFINITY;
            for i in 0..BLOCK {
                out[i] = even[i] + odd[i];
                least = least.min(out[i]);
            }
            if least > limit {
                break;
            }
        }
    }
}

multiversion! {
    /// Squared distances of one sketch to those of every centre in `blocks` (each `width` rows of one lane per
    /// centre). Where a whole block is beyond `limit`, of the leading components only: still lower bounds.
    pub fn blocks(sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) = blocks_body
}

#[inline(always)]
fn affected_body<const FMA: bool>(apart: &[f32], nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize {
    let mut count = 0;
    for (i, (center, horizon)) in nearest.iter().zip(horizon).enumerate() {
        out[count] = i as u32;
        // NaN would count as affected; a bound is never NaN.
        count += usize::from(apart[*center as usize] <= *horizon);
    }
    count
}

multiversion! {
    /// Places of the points whose nearest centre is not proved too far (`apart`) from the new centre; `out` must
    /// be as long as `nearest`. Returns how many.
    pub fn affected(apart: &[f32], nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize = affected_body
}
