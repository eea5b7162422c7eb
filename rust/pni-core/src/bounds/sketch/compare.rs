//! float32 distances of sketches (BOUNDS.md, *Sketches compared*).

use crate::bounds::pair::squared;
use crate::bounds::root_above;
use crate::memory;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Leading components that are compared before the others.
const LEAD: usize = 16;

/// A relative error that no sum of squares below exceeds: up to 64 terms, each rounded three times (BOUNDS.md, *Sketches compared*).
pub const RELATIVE: f32 = 1e-5;

/// What a squared reach must be raised by: the error of the sum it is compared with, and of its own square
/// (BOUNDS.md, *Sketches compared*).
const DECISIVE: f32 = 4.0 * RELATIVE;

/// What a root must be lowered by to be a lower bound (BOUNDS.md, *Sketches compared*).
const LOWER: f32 = 4.0 * RELATIVE;

/// What a distance must be raised by so that what [`LOWER`] took from its bound cannot bring it back
/// (BOUNDS.md, *Sketches compared*).
const FAR: f32 = 8.0 * RELATIVE;

/// What a horizon must be raised by: the rounding of its root and of what it is compared with
/// (BOUNDS.md, *Horizon*).
const HORIZON: f32 = 2.0 * RELATIVE;

/// What is lost to underflow in such a sum, at most (BOUNDS.md, *Sketches compared*).
const ABSOLUTE: f32 = 1e-30;

/// The same of its root: what a sum that was rounded up has too much (BOUNDS.md, *Sketches compared*).
const ROOT_ABSOLUTE: f32 = 1e-15;

/// What the squared distance of two sketches must exceed to prove the points farther apart than `reach`.
#[inline(always)]
pub fn decisive(reach: f32) -> f32 {
    reach * reach * (1.0 + DECISIVE) + ABSOLUTE
}

/// What the distance of two sketches must exceed to prove the points farther apart than the root of `squared`, where their
/// slacks together are `slack`.
pub fn reach(squared: f64, slack: f32) -> f32 {
    (root_above(squared) + slack) * (1.0 + RELATIVE)
}

/// A center farther than this from a point's own, which is at the root of `squared`, cannot be nearer to the point: by the
/// triangle inequality twice the distance (Elkan 2003).
pub fn horizon(squared: f64) -> f32 {
    2.0 * root_above(squared) * (1.0 + HORIZON)
}

/// Of the centers that might be near enough to cover a point, those within this share of the farthest such are looked at:
/// nearly all that do cover one (measured), and a fraction of all. Proves nothing and need not: BOUNDS.md, *Covers*.
pub const COVER_SHARE: f32 = 0.55;

#[inline(always)]
fn near_body<I: Isa>(isa: I, sketch: &[f32], other: &[f32], reach: f32) -> bool {
    // False for NaN, which proves nothing.
    let apart = squared(isa, sketch, other) > decisive(reach);
    !apart
}

multiversion! {
    /// Whether the sketches allow the points to be within `reach` of each other.
    pub fn near(sketch: &[f32], other: &[f32], reach: f32) -> bool = near_body
}

#[inline(always)]
fn blocks_body<I: Isa>(isa: I, sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) {
    let width = sketch.len();
    let (rows, _) = blocks.as_chunks::<LANES>();
    let (out, _) = out.as_chunks_mut::<LANES>();
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

/// Squared distances of some components to those of 16 centers, a row each.
#[inline(always)]
fn compare<I: Isa>(isa: I, values: &[f32], rows: &[[f32; LANES]]) -> I::F {
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
    /// Squared distances of one sketch to those of every center in `blocks` (each `width` rows of one lane per
    /// center). Where a whole block is beyond `limit`, of the leading components only: still lower bounds.
    pub fn blocks(sketch: &[f32], blocks: &[f32], limit: f32, out: &mut [f32]) = blocks_body
}

/// At most the distance of two points whose sketches have this squared distance and, together, this slack.
#[inline(always)]
pub fn lower_bound(squared: f32, slack: f32) -> f32 {
    // A sum that underflowed is too small already; the constant is for one that was rounded up.
    ((squared.sqrt() - ROOT_ABSOLUTE) * (1.0 - LOWER) - slack).max(0.0)
}

/// How near a center must be to matter.
#[derive(Clone, Copy)]
pub struct Reach {
    /// What the distance of two sketches must exceed to prove a center beyond `near`, whatever its slack
    /// (BOUNDS.md, *Sketches compared*).
    most: f32,
    /// The slack of the center that asks.
    own: f32,
    /// The distance up to which a center is near.
    near: f32,
}

impl Reach {
    /// Up to `near` from a center of slack `own`, where no other has more than `most_slack`.
    pub fn new(near: f32, own: f32, most_slack: f32) -> Self {
        let most = (near + own + most_slack) * (1.0 + FAR) + ROOT_ABSOLUTE;
        Self { most, own, near }
    }

    /// The same squared.
    pub fn squared(&self) -> f32 {
        self.most * self.most
    }
}

/// Turns squared distances of sketches into lower bounds; a bit for each of those that are near.
#[inline(always)]
fn lower_block<I: Isa>(isa: I, reach: Reach, bounds: &mut [f32; LANES], slack: &[f32; LANES]) -> u32 {
    if isa.above(isa.load(bounds), isa.splat(reach.squared() * (1.0 + RELATIVE))) == 0xffff {
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
    let parts = bounds.chunks_mut(LANES).zip(slack.chunks(LANES)).enumerate();
    for (part, (bounds, slack)) in parts {
        let mut close = if let (Ok(bounds), Ok(slack)) = (bounds.try_into(), slack.try_into()) {
            lower_block(isa, reach, bounds, slack)
        } else {
            let (mut padded, mut slacks) = ([f32::MAX; LANES], [0.0; LANES]);
            padded[..bounds.len()].copy_from_slice(bounds);
            slacks[..slack.len()].copy_from_slice(slack);
            let close = lower_block(isa, reach, &mut padded, &slacks);
            bounds.copy_from_slice(&padded[..bounds.len()]);
            close & ((1 << bounds.len()) - 1)
        };
        while close != 0 {
            memory::push(near, (first + part * LANES) as u32 + close.trailing_zeros());
            close &= close - 1;
        }
    }
}

multiversion! {
    /// Turns squared distances of sketches to the centers from `first` on into lower bounds of the distances, and adds the
    /// centers that are near.
    pub fn lower_bounds(
        reach: Reach,
        first: usize,
        slack: &[f32],
        bounds: &mut [f32],
        near: &mut Vec<u32>,
    ) = lower_bounds_body
}
