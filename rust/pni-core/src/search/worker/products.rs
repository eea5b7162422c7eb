//! Float32 products over all columns, of queries that sketches do not pay for.

use super::{SEGMENT, Scratch, Worker};
use crate::search::prepare::Full;
use crate::search::space::LONGEST;
use crate::search::tile::{GROUP, Rows, products, stride};

/// The rows of a block as the targets' space has them.
#[derive(Debug, Default)]
pub struct Centred {
    values: Vec<f32>,
    /// Squared lengths; infinite for rows that cannot be bounded.
    norms: Vec<f32>,
}

impl Worker<'_> {
    /// Bounds the answers of a block.
    pub(super) fn products(&self, full: &Full, rows: &[f32], scratch: &mut Scratch) {
        let (simd, width) = (self.context.simd, self.prepared.width);
        let Full { space, panels } = full;
        let Scratch {
            block,
            centred: Centred { values, norms },
            scores,
            ..
        } = scratch;
        let count = rows.len() / width;
        let (padded, stride) = (count.next_multiple_of(GROUP), stride(width));
        values.clear();
        values.resize(padded * stride, 0.0);
        norms.clear();
        for (id, (row, to)) in rows
            .chunks_exact(width)
            .zip(values.chunks_exact_mut(stride))
            .enumerate()
        {
            let norm = space.center(simd, row, &mut to[..width]);
            // Written so that NaN counts as too long.
            let bounded = norm <= LONGEST;
            norms.push(if bounded { norm } else { f32::INFINITY });
            if !bounded {
                to.fill(0.0);
                self.every(row, id, 0..self.panels, block);
            }
        }
        let every: Vec<usize> = (0..count).collect();
        for start in (0..self.panels).step_by(SEGMENT) {
            if self.context.control.cancelled() {
                return;
            }
            let range = start..(start + SEGMENT).min(self.panels);
            let wanted = self.wanted(&every, &range, block, &mut scores.wanted);
            products(
                simd,
                Rows { values, stride },
                panels,
                range.clone(),
                wanted,
                &mut scores.products,
            );
            self.take(rows, &every, &range, block, scores, |id, most| {
                if norms[id] == f32::INFINITY {
                    return f32::NEG_INFINITY;
                }
                space.limit(most, norms[id], space.full_error())
            });
        }
    }
}
