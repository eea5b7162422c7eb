//! Bytes within a distance, by clusters: which of them can hold any, and which bytes of those do.

use super::blocks::{ByteView, SketchBytes, block_units, own_norm};
use crate::memory;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Questions at a time: a bit each.
pub const TOGETHER: usize = 64;

/// More than rounding takes from a limit that a radius is added to, relative (BOUNDS.md, *Clusters*).
pub const CLUSTER_ROUNDING: f32 = 1e-5;

/// Which bytes are within the root of `limit` (squared units) of a point's?
#[derive(Debug, Clone, Copy, Default)]
pub struct Question {
    pub bytes: SketchBytes,
    pub limit: f32,
}

/// A center that may be near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The squared distance of its bytes, in units.
    pub squared: f32,
    pub index: u32,
}

#[inline(always)]
fn open_body<I: Isa>(
    isa: I,
    questions: &[Question],
    heads: ByteView<'_>,
    radii: &[[f32; LANES]],
    share: f32,
    open: &mut [[u64; LANES]],
) {
    let (factor, zero) = (isa.splat(1.0 + CLUSTER_ROUNDING), isa.splat(0.0));
    let share = isa.splat(share);
    for (number, question) in questions.iter().enumerate() {
        let (own, root) = (own_norm(isa, &question.bytes), isa.splat(question.limit.sqrt()));
        for ((rows, norms), (radii, open)) in heads.blocks().zip(radii.iter().zip(&mut *open)) {
            let [squared] = block_units(isa, [(&question.bytes, own)], rows, norms);
            let most = isa.mul_add(isa.load(radii), share, root);
            let most = isa.mul_add(isa.mul_add(most, most, zero), factor, zero);
            let mut low = !isa.above(squared, most) & 0xffff;
            while low != 0 {
                open[low.trailing_zeros() as usize] |= 1 << number;
                low &= low - 1;
            }
        }
    }
}

multiversion! {
    /// Sets the bit of each question in `open` for the clusters that may hold what it asks for; `radii` are the most that their
    /// bytes are from those of their heads, of which a `share` less than 1 leaves clusters out.
    pub fn open(
        questions: &[Question],
        heads: ByteView<'_>,
        radii: &[[f32; LANES]],
        share: f32,
        open: &mut [[u64; LANES]],
    ) = open_body
}

#[inline(always)]
fn answer_body<I: Isa>(
    isa: I,
    questions: &[Question],
    members: ByteView<'_>,
    indices: &[[u32; LANES]],
    open: &[u64],
    near: &mut [Vec<Near>],
) {
    let mut own = [isa.splat(0.0); TOGETHER];
    for (own, question) in own.iter_mut().zip(questions) {
        *own = own_norm(isa, &question.bytes);
    }
    for (((rows, norms), indices), open) in members.blocks().zip(indices).zip(open) {
        let mut left = *open;
        while left != 0 {
            let number = left.trailing_zeros() as usize;
            left &= left - 1;
            let question = &questions[number];
            let [squared] = block_units(isa, [(&question.bytes, own[number])], rows, norms);
            let mut low = !isa.above(squared, isa.splat(question.limit)) & 0xffff;
            if low == 0 {
                continue;
            }
            let mut values = [0.0; LANES];
            isa.store(squared, &mut values);
            while low != 0 {
                let lane = low.trailing_zeros() as usize;
                let (squared, index) = (values[lane], indices[lane]);
                memory::push(&mut near[number], Near { squared, index });
                low &= low - 1;
            }
        }
    }
}

multiversion! {
    /// Adds to the list of each question what it asks for in the `open` clusters of sixteen lanes; `indices` are the centers in
    /// the lanes. Limits are finite, as lanes without a center are infinitely far.
    pub fn answer(
        questions: &[Question],
        members: ByteView<'_>,
        indices: &[[u32; LANES]],
        open: &[u64],
        near: &mut [Vec<Near>],
    ) = answer_body
}
