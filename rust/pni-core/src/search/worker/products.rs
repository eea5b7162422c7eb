//! Float32 products over all columns, of queries that sketches do not pay for.

use super::{Block, Scratch, Worker};
use crate::bounds::products::space::LONGEST;
use crate::bounds::products::{PANEL, Rows, TILE_ROWS, products, stride};
use crate::memory;
use crate::search::prepare::Full;

/// The rows of a block as the targets' space has them.
#[derive(Debug, Default)]
pub struct Centered {
    values: Vec<f32>,
    /// Squared lengths; infinite for rows that cannot be bounded.
    norms: Vec<f32>,
}

impl Worker<'_> {
    /// Bounds the answers of a block.
    pub(super) fn products(&self, full: &Full, rows: &[f32], scratch: &mut Scratch) {
        let (simd, width) = (self.context.simd, self.prepared.width);
        let Full { space, panels, .. } = full;
        let Scratch {
            block,
            centered: Centered { values, norms },
            scores,
            ..
        } = scratch;
        let count = rows.len() / width;
        let (padded, stride) = (count.next_multiple_of(TILE_ROWS), stride(width));
        values.clear();
        memory::resize(values, padded * stride, 0.0);
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
            if bounded {
                self.look_at_far(&full.far, row, id, block);
            } else {
                to.fill(0.0);
                self.every(row, id, 0..self.panels, block);
            }
        }
        let padded_rows = Rows { values, stride };
        let every: Vec<usize> = (0..count).collect();
        for range in self.segments() {
            let wanted = self.wanted(&every, &range, block, &mut scores.wanted);
            products(simd, padded_rows, panels, range.clone(), wanted, &mut scores.products);
            self.take(rows, &every, &range, block, scores, |id, most| {
                if norms[id] == f32::INFINITY {
                    return f32::NEG_INFINITY;
                }
                space.limit(most, norms[id], space.full_error())
            });
        }
    }

    /// Looks at the columns that have no score, for query `id`.
    fn look_at_far(&self, far: &[u32], row: &[f32], id: usize, block: &mut Block) {
        for column in far {
            let (panel, lane) = (*column as usize / PANEL, *column as usize % PANEL);
            let allowed = |words: &[u32]| words[id * self.panels + panel] >> lane & 1 == 1;
            if self.mask.is_none() || allowed(&block.words) {
                self.look(row, *column, &mut block.answers[id]);
            }
        }
    }
}
