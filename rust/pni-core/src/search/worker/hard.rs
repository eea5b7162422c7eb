//! Queries of which sketches tell too little: products over all columns.

use super::{Block, PAIR_COST, Scores, Worker};
use crate::distance::root_above;
use crate::search::bytes::ByteRows;
use crate::search::tile::{GROUP, Rows, stride};
use std::ops::Range;

/// Such queries, side by side.
#[derive(Debug, Default)]
pub struct Hard {
    rows: Vec<f32>,
    bytes: ByteRows,
}

impl Worker<'_> {
    /// Panels `range` for the queries `ids` of a block: by their bytes, or in float32 where rows are short.
    pub(super) fn hard(
        &self,
        rows: &[f32],
        ids: &[usize],
        range: Range<usize>,
        block: &mut Block,
        hard: &mut Hard,
        scores: &mut Scores,
    ) {
        let (simd, width, space) = (self.context.simd, self.prepared.width, &self.prepared.space);
        let sketches = self.prepared.sketches.as_ref();
        if let Some((sketches, panels)) = sketches.and_then(|sketches| Some((sketches, sketches.byte_panels()?))) {
            let known = &sketches.bytes;
            let own = ids.iter().map(|id| &rows[id * width..][..width]);
            hard.bytes.fill(simd, known, own);
            let wanted = self.wanted(ids, &range, block, &mut scores.wanted);
            panels.products(simd, &hard.bytes, range.clone(), wanted, &mut scores.products);
            self.take(rows, ids, &range, block, scores, |place, _, most| {
                panels.limit(&hard.bytes, place, known.reach(root_above(most)))
            });
            return;
        }
        let worth = sketches.is_none() && ids.len() > GROUP / PAIR_COST;
        let Some(full) = worth.then(|| self.prepared.full()).flatten() else {
            for id in ids {
                self.every(&rows[id * width..][..width], *id, range.clone(), block);
            }
            return;
        };
        let stride = stride(width);
        hard.rows.clear();
        for id in ids {
            hard.rows.extend_from_slice(&block.centered[id * stride..][..stride]);
        }
        hard.rows.resize(ids.len().next_multiple_of(GROUP) * stride, 0.0);
        let values = &hard.rows;
        self.score(Rows { values, stride }, full, ids, range.clone(), block, scores);
        self.take(rows, ids, &range, block, scores, |_, norm, most| {
            space.limit(most, norm, space.full_error())
        });
    }

    /// Takes from the scores of queries `ids` what can be their answers. `limit(i, norm, most)` is the highest score that
    /// something within `most` (squared) of query `ids[i]`, of this squared length, can have.
    fn take(
        &self,
        rows: &[f32],
        ids: &[usize],
        range: &Range<usize>,
        block: &mut Block,
        scores: &mut Scores,
        limit: impl Fn(usize, f32, f64) -> f32,
    ) {
        let (products, found) = (&scores.products, &mut scores.found.rows);
        let values = products.values.chunks_exact(range.len());
        let scored = values.zip(products.lowest.chunks_exact(range.len()));
        for (place, (id, (values, lows))) in ids.iter().zip(scored).enumerate() {
            let (row, norm) = (
                &rows[id * self.prepared.width..][..self.prepared.width],
                block.norms[*id],
            );
            if norm.is_infinite() {
                self.every(row, *id, range.clone(), block);
                continue;
            }
            let limit = |most| limit(place, norm, most);
            let scored = self.scored(values, lows, *id, range, &block.words);
            let answer = &mut block.answers[*id];
            let Some(probe) = self.within(row, scored, limit, answer, found) else {
                continue;
            };
            let score = |column: u32| values.as_flattened()[(column - scored.first) as usize];
            let mut most = limit(answer.most);
            for column in &*found {
                if score(*column) <= most && *column != probe && self.look(row, *column, answer) {
                    most = limit(answer.most);
                }
            }
        }
    }
}
