//! Rows less a mean, in float32 (BOUNDS.md, *Centering*).

use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Vectors of lanes that are added up side by side.
const VECTORS: usize = 4;

#[inline(always)]
fn center_body<I: Isa>(isa: I, row: &[f32], mean: &[f32], scale: f32, out: &mut [f32]) -> f32 {
    let (zero, scale) = (isa.splat(0.0), isa.splat(scale));
    let centered = |row, mean| isa.sub(isa.mul_add(row, scale, zero), mean);
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let (means, mean_rest) = mean.as_chunks::<LANES>();
    let (outs, out_rest) = out[..row.len()].as_chunks_mut::<LANES>();
    let mut sums = [zero; VECTORS];
    let groups = rows.chunks(VECTORS).zip(means.chunks(VECTORS));
    for ((rows, means), outs) in groups.zip(outs.chunks_mut(VECTORS)) {
        for (((row, mean), out), sum) in rows.iter().zip(means).zip(outs).zip(&mut sums) {
            let value = centered(isa.load(row), isa.load(mean));
            isa.store(value, out);
            *sum = isa.mul_add(value, value, *sum);
        }
    }
    if !row_rest.is_empty() {
        let value = centered(isa.load_part(row_rest), isa.load_part(mean_rest));
        let mut padded = [0.0; LANES];
        isa.store(value, &mut padded);
        out_rest.copy_from_slice(&padded[..out_rest.len()]);
        sums[0] = isa.mul_add(value, value, sums[0]);
    }
    isa.sum(isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3])))
}

multiversion! {
    /// Writes `row`·`scale` − `mean`, where `scale` is a power of 2, and returns its squared length. That is off by at most
    /// [`relative_error`](super::pair::relative_error), as a difference of two rows is.
    pub fn center(row: &[f32], mean: &[f32], scale: f32, out: &mut [f32]) -> f32 = center_body
}
