//! Float32 products over all columns, of queries that sketches do not pay for.

use super::{Block, Scores, Scratch, Worker};
use crate::bounds::products::space::LONGEST;
use crate::bounds::products::{GROUP, LANES, Rows, products, stride};
use crate::search::few_columns::{self, FEW};
use crate::search::filter::number;
use crate::search::prepare::Full;

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
        let Full { space, panels, .. } = full;
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
            if bounded {
                self.look_at_far(&full.far, row, id, block);
            } else {
                to.fill(0.0);
                self.every(row, id, 0..self.panels, block);
            }
        }
        let padded_rows = Rows { values, stride };
        if width <= FEW && self.mask.is_none() {
            return self.few_columns(full, rows, padded_rows, norms, block, scores);
        }
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
            let (panel, lane) = (*column as usize / LANES, *column as usize % LANES);
            let allowed = |words: &[u32]| words[id * self.panels + panel] >> lane & 1 == 1;
            if self.mask.is_none() || allowed(&block.words) {
                self.look(row, *column, &mut block.answers[id]);
            }
        }
    }

    /// The same for rows of few columns, given their squared lengths in the targets' space.
    fn few_columns(
        &self,
        full: &Full,
        rows: &[f32],
        padded: Rows<'_>,
        norms: &[f32],
        block: &mut Block,
        scores: &mut Scores,
    ) {
        let simd = self.context.simd;
        let Full {
            space, panels, longest, ..
        } = full;
        let Scores {
            found, within, lowest, ..
        } = scores;
        lowest.clear();
        lowest.resize(padded.values.len() / padded.stride, f32::INFINITY);
        for range in self.segments() {
            few_columns::lowest(simd, padded, panels, range, lowest);
        }
        // Nothing is near rows that cannot be bounded, or only fill a group up.
        let mut limits = vec![f32::NEG_INFINITY; lowest.len()];
        for ((limit, lowest), norm) in limits.iter_mut().zip(lowest).zip(norms) {
            if *norm < f32::INFINITY {
                *limit = space.limit_of_lowest(*lowest, *norm, *longest);
            }
        }
        for range in self.segments() {
            few_columns::within(simd, padded, panels, range.clone(), &limits, within);
            let words = within.chunks_exact(range.len());
            let rows = rows.chunks_exact(self.prepared.width).zip(words);
            for ((row, words), answer) in rows.zip(&mut block.answers) {
                number(simd, words, (range.start * LANES) as u32, &mut found.rows);
                for column in &found.rows {
                    self.look(row, *column, answer);
                }
            }
        }
    }
}
