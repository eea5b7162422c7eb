//! Scores of a block of queries, and what of them can be an answer.

use super::{Answer, Block, PAIR_COST, Scores, Worker};
use crate::distance::root_above;
use crate::search::basis::{PANELS, PER_PANEL};
use crate::search::filter::{collect, deepen, lowest};
use crate::search::prepare::Sketches;
use crate::search::tile::{GROUP, LANES, Panels, Rows, products};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Queries that sketches must have failed before products over all columns are made ready.
const FAILED: usize = 64;

impl Worker<'_> {
    /// Scores of `rows`, which belong to queries `ids`, in panels `range`.
    pub(super) fn score(
        &self,
        rows: Rows<'_>,
        panels: &Panels,
        ids: &[usize],
        range: Range<usize>,
        block: &Block,
        scores: &mut Scores,
    ) {
        scores.wanted.clear();
        if self.mask.is_some() {
            for ids in ids.chunks(GROUP) {
                let words = |id: &usize| &block.words[id * self.panels..][range.clone()];
                let start = scores.wanted.len();
                scores.wanted.resize(start + range.len(), false);
                for id in ids {
                    let wanted = scores.wanted[start..].iter_mut();
                    wanted.zip(words(id)).for_each(|(wanted, word)| *wanted |= *word != 0);
                }
            }
        }
        let wanted = self.mask.is_some().then_some(&scores.wanted[..]);
        products(self.context.simd, rows, panels, range, wanted, &mut scores.products);
    }

    /// Takes from the scores of queries `ids` what can be their answers. Where they are of sketches (those of the
    /// targets and of all queries), returns instead those that are left with more pairs than products over all
    /// columns would cost.
    pub(super) fn narrow(
        &self,
        rows: &[f32],
        ids: &[usize],
        range: Range<usize>,
        sketches: Option<(&Sketches, &[[f32; LANES]])>,
        block: &mut Block,
        scores: &mut Scores,
    ) -> Vec<usize> {
        let (simd, space) = (self.context.simd, &self.prepared.space);
        let error = if sketches.is_some() {
            space.bound_error()
        } else {
            space.full_error()
        };
        let first = range.start * LANES;
        let mut hard = Vec::new();
        let Scores {
            products,
            found,
            deeper,
            ..
        } = scores;
        let values = products.values.chunks_exact(range.len());
        for ((id, values), lows) in ids.iter().zip(values).zip(products.lowest.chunks_exact(range.len())) {
            let norm = block.norms[*id];
            if norm.is_infinite() {
                self.every(rows, *id, range.clone(), block);
                continue;
            }
            let words = match self.mask {
                Some(_) => &block.words[id * self.panels..][range.clone()],
                None => &[],
            };
            let answer = &mut block.answers[*id];
            let lowest = lowest(simd, values, lows, words);
            if lowest > space.limit(answer.most, norm, error) {
                continue;
            }
            let row = &rows[id * self.prepared.width..][..self.prepared.width];
            found.rows.clear();
            collect(simd, values, lows, words, lowest, first as u32, &mut found.rows);
            let probe = found.rows.first().copied();
            if let Some(probe) = probe {
                self.look(row, probe, answer);
            }
            let mut limit = space.limit(answer.most, norm, error);
            found.rows.clear();
            collect(simd, values, lows, words, limit, first as u32, &mut found.rows);
            let flat = values.as_flattened();
            deeper.clear();
            if let (Some((sketches, own)), Some(bytes)) = (sketches, &self.prepared.bytes) {
                if bytes.long() {
                    let (low, high) = (&own[PANELS * id], &own[PANELS * id + 1]);
                    deepen(
                        simd,
                        high,
                        low[PER_PANEL],
                        sketches.deep(),
                        flat,
                        first as u32,
                        limit,
                        &mut found.rows,
                        deeper,
                    );
                }
                let panels = match words {
                    [] => values.len(),
                    _ => words.iter().filter(|word| **word != 0).count(),
                };
                if found.rows.len() * PAIR_COST > panels * LANES + GROUP * PAIR_COST
                    && self.failed.fetch_add(1, Ordering::Relaxed) >= FAILED
                {
                    hard.push(*id);
                    continue;
                }
                let mut reach = bytes.reach(root_above(answer.most));
                bytes.narrow(simd, row, root_above(answer.most), found);
                for (column, lower) in found.nearest_first() {
                    if lower <= reach && Some(column) != probe && self.look(row, column, answer) {
                        reach = bytes.reach(root_above(answer.most));
                    }
                }
                continue;
            }
            deeper.extend(found.rows.iter().map(|column| flat[*column as usize - first]));
            // The likeliest first: what it brings the bound down to spares others.
            if let Some(likely) = (0..found.rows.len()).min_by(|a, b| deeper[*a].total_cmp(&deeper[*b])) {
                found.rows.swap(0, likely);
                deeper.swap(0, likely);
            }
            for (column, score) in found.rows.iter().zip(deeper.iter()) {
                if *score <= limit && Some(*column) != probe && self.look(row, *column, answer) {
                    limit = space.limit(answer.most, norm, error);
                }
            }
        }
        hard
    }

    /// Looks at one pair in float32; whether that brought the answer's bound down.
    #[inline]
    fn look(&self, row: &[f32], column: u32, answer: &mut Answer) -> bool {
        let target = self.prepared.target(column as usize).1;
        let (least, most) = self.prepared.bounds.of(self.context.simd, row, target);
        if least <= answer.most {
            answer.left.push((least, column));
        }
        let closer = most < answer.most;
        if closer {
            answer.most = most;
        }
        closer
    }

    /// Looks at every pair of a query in panels `range`.
    pub(super) fn every(&self, rows: &[f32], id: usize, range: Range<usize>, block: &mut Block) {
        let row = &rows[id * self.prepared.width..][..self.prepared.width];
        for panel in range {
            if self.context.control.cancelled() {
                return;
            }
            let word = match self.mask {
                Some(_) => block.words[id * self.panels + panel],
                None => u32::MAX,
            };
            let columns = LANES.min(self.prepared.count - panel * LANES);
            for lane in (0..columns).filter(|lane| word >> lane & 1 == 1) {
                self.look(row, (panel * LANES + lane) as u32, &mut block.answers[id]);
            }
        }
    }
}
