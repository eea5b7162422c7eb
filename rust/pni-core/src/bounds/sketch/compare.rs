//! float32 arithmetic on sketches: it bounds distances, and never decides.

use crate::coreset::centers::Apart;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Centres in a block: one lane each.
pub const BLOCK: usize = LANES;

/// Leading components that are compared before the others.
pub const LEAD: usize = 16;

/// A relative error no sum of squares below exceeds: up to 64 terms, each rounded three times.
pub const RELATIVE: f32 = 1e-5;

/// What is lost to underflow in such a sum, at most.
pub const ABSOLUTE: f32 = 1e-30;

#[inline(always)]
pub fn difference_squared<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK>();
    let mut sums = isa.splat(0.0);
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        let difference = isa.sub(isa.load(x), isa.load(y));
        sums = isa.mul_add(difference, difference, sums);
    }
    if !a_rest.is_empty() {
        let difference = isa.sub(isa.load_part(a_rest), isa.load_part(b_rest));
        sums = isa.mul_add(difference, difference, sums);
    }
    isa.sum(sums)
}

/// What the squared distance of two sketches must exceed to prove the points farther apart than `reach`.
#[inline(always)]
pub fn decisive(reach: f32) -> f32 {
    reach * reach * (1.0 + 4.0 * RELATIVE) + ABSOLUTE
}

#[inline(always)]
fn near_body<I: Isa>(isa: I, sketch: &[f32], other: &[f32], reach: f32) -> bool {
    // False for NaN, which proves nothing.
    let apart = difference_squared(isa, sketch, other) > decisive(reach);
    !apart
}

multiversion! {
    /// Whether the sketches allow the points to be within `reach` of each other.
    pub fn near(sketch: &[f32], other: &[f32], reach: f32) -> bool = near_body
}

/// The squared distance of two rows in float32, and its errors, relative and (of what is subnormal) absolute.
#[inline(always)]
fn single<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> (f32, f32, f32) {
    let (a_blocks, a_rest) = a.as_chunks::<{ 2 * BLOCK }>();
    let (b_blocks, b_rest) = b.as_chunks::<{ 2 * BLOCK }>();
    let mut sums = [isa.splat(0.0); 2];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        let ((a, _), (b, _)) = (a.as_chunks::<BLOCK>(), b.as_chunks::<BLOCK>());
        for i in 0..2 {
            let difference = isa.sub(isa.load(&a[i]), isa.load(&b[i]));
            sums[i] = isa.mul_add(difference, difference, sums[i]);
        }
    }
    let squared = isa.sum(isa.add(sums[0], sums[1])) + difference_squared(isa, a_rest, b_rest);
    // Every term is rounded three times, and each addition once: half of this is enough.
    let relative = (16.0 + a.len() as f32 / 16.0) * f32::EPSILON;
    (squared, relative, a.len() as f32 * f32::MIN_POSITIVE)
}

#[inline(always)]
fn within_body<I: Isa>(isa: I, a: &[f32], b: &[f32], limit: f64) -> bool {
    let (squared, relative, absolute) = single(isa, a, b);
    // Where a square overflowed the sum proves nothing.
    let apart = squared > limit as f32 * (1.0 + relative) + absolute && squared < f32::INFINITY;
    !apart
}

multiversion! {
    /// Whether two rows may be within `limit` (squared) of each other, by their float32 differences.
    pub fn within(a: &[f32], b: &[f32], limit: f64) -> bool = within_body
}

#[inline(always)]
fn at_most_body<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f64 {
    let (squared, relative, absolute) = single(isa, a, b);
    f64::from(squared) * (1.0 + f64::from(relative)) + f64::from(absolute)
}

multiversion! {
    /// A value that the squared distance of two rows does not exceed, and is hardly below; infinite on overflow.
    pub fn at_most(a: &[f32], b: &[f32]) -> f64 = at_most_body
}

#[inline(always)]
fn blocks_body<I: Isa>(isa: I, sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) {
    let width = sketch.len();
    let (rows, _) = blocks.as_chunks::<BLOCK>();
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    let limit = isa.splat(limit);
    for (block, out) in rows.chunks_exact(width).zip(out) {
        let mut sums = isa.splat(0.0);
        for (values, rows) in sketch.chunks(LEAD).zip(block.chunks(LEAD)) {
            sums = isa.add(sums, compare(isa, values, rows));
            if isa.above(sums, limit) == 0xffff {
                break;
            }
        }
        isa.store(sums, out);
    }
}

/// Squared distances of some components to those of 16 centres, a row each.
#[inline(always)]
fn compare<I: Isa>(isa: I, values: &[f32], rows: &[[f32; BLOCK]]) -> I::F {
    let (mut even, mut odd) = (isa.splat(0.0), isa.splat(0.0));
    let (pairs, last) = values.as_chunks::<2>();
    let (row_pairs, last_row) = rows.as_chunks::<2>();
    for (values, rows) in pairs.iter().zip(row_pairs) {
        let difference = isa.sub(isa.splat(values[0]), isa.load(&rows[0]));
        even = isa.mul_add(difference, difference, even);
        let difference = isa.sub(isa.splat(values[1]), isa.load(&rows[1]));
        odd = isa.mul_add(difference, difference, odd);
    }
    if let ([value], [row]) = (last, last_row) {
        let difference = isa.sub(isa.splat(*value), isa.load(row));
        even = isa.mul_add(difference, difference, even);
    }
    isa.add(even, odd)
}

multiversion! {
    /// Squared distances of one sketch to those of every centre in `blocks` (each `width` rows of one lane per
    /// centre). Where a whole block is beyond `limit`, of the leading components only: still lower bounds.
    pub fn blocks(sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) = blocks_body
}

/// At most the distance of two points whose sketches have this squared distance and, together, this slack.
#[inline(always)]
pub fn lower_bound(squared: f32, slack: f32) -> f32 {
    // A sum that underflowed is too small already; the constant is for one that was rounded up.
    ((squared.sqrt() - 1e-15) * (1.0 - 4.0 * RELATIVE) - slack).max(0.0)
}

/// How near a centre must be to matter.
#[derive(Clone, Copy)]
pub struct Reach {
    /// A squared distance of sketches beyond which it cannot, whatever the slack.
    pub far: f32,
    /// The slack of the centre that asks.
    pub own: f32,
    /// The distance up to which it is near.
    pub near: f32,
}

/// Turns squared distances of sketches into lower bounds; a bit for each of those that are near.
#[inline(always)]
fn lower_block<I: Isa>(isa: I, reach: Reach, bounds: &mut [f32; BLOCK], slack: &[f32; BLOCK]) -> u32 {
    if isa.above(isa.load(bounds), isa.splat(reach.far)) == 0xffff {
        bounds.fill(f32::MAX);
        return 0;
    }
    for (bound, slack) in bounds.iter_mut().zip(slack) {
        *bound = lower_bound(*bound, reach.own + slack);
    }
    !isa.above(isa.load(bounds), isa.splat(reach.near)) & 0xffff
}

#[inline(always)]
fn lower_bounds_body<I: Isa>(
    isa: I,
    reach: Reach,
    first: usize,
    slack: &[f32],
    bounds: &mut [f32],
    near: &mut Vec<u32>,
) {
    let parts = bounds.chunks_mut(BLOCK).zip(slack.chunks(BLOCK)).enumerate();
    for (part, (bounds, slack)) in parts {
        let mut close = if let (Ok(bounds), Ok(slack)) = (bounds.try_into(), slack.try_into()) {
            lower_block(isa, reach, bounds, slack)
        } else {
            let (mut padded, mut slacks) = ([f32::MAX; BLOCK], [0.0; BLOCK]);
            padded[..bounds.len()].copy_from_slice(bounds);
            slacks[..slack.len()].copy_from_slice(slack);
            let close = lower_block(isa, reach, &mut padded, &slacks);
            bounds.copy_from_slice(&padded[..bounds.len()]);
            close & ((1 << bounds.len()) - 1)
        };
        while close != 0 {
            near.push((first + part * BLOCK) as u32 + close.trailing_zeros());
            close &= close - 1;
        }
    }
}

multiversion! {
    /// Turns squared distances of sketches to the centres from `first` on into lower bounds of the distances, and adds the
    /// centres that are near.
    pub fn lower_bounds(
        reach: Reach,
        first: usize,
        slack: &[f32],
        bounds: &mut [f32],
        near: &mut Vec<u32>,
    ) = lower_bounds_body
}

#[inline(always)]
fn sketches_apart_body<I: Isa>(isa: I, sketch: &[f32], sketches: &[f32], some: &[u32], out: &mut Vec<f32>) {
    let width = sketch.len();
    out.clear();
    out.extend(some.iter().map(|other| {
        let other = &sketches[*other as usize * width..][..width];
        difference_squared(isa, sketch, other)
    }));
}

multiversion! {
    /// Writes to `out` the squared distances of one sketch to `some` of others.
    pub fn sketches_apart(sketch: &[f32], sketches: &[f32], some: &[u32], out: &mut Vec<f32>) = sketches_apart_body
}

#[inline(always)]
fn affected_body<I: Isa>(_isa: I, apart: &Apart, nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize {
    let mut count = 0;
    for (i, (center, horizon)) in nearest.iter().zip(horizon).enumerate() {
        out[count] = i as u32;
        // NaN would count as unaffected; neither is ever NaN.
        count += usize::from(apart.squared[*center as usize] <= apart.limit(*horizon));
    }
    count
}

multiversion! {
    /// Places of the points whose nearest centre is not proved too far (`apart`) from the new centre; `out` must
    /// be as long as `nearest`. Returns how many.
    pub fn affected(apart: &Apart, nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize = affected_body
}
