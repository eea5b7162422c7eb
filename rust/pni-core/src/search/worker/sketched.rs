//! Queries by their sketches, and by the bytes of their rows where sketches tell too little.

use super::{Answer, Block, PAIR_COST, Scores, Scratch, TRIAL, Worker};
use crate::bounds::bytes::panels::ByteRows;
use crate::bounds::bytes::{Narrowed, RowBytes};
use crate::bounds::products::{GROUP, LANES};
use crate::bounds::sketch::WIDTH;
use crate::distance::root_above;
use crate::search::filter::number;
use crate::search::prepare::Sketches;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Queries, and a share of all, that sketches must have failed before products over all columns are made ready.
const FAILED: usize = 64;
const FAILED_SHARE: usize = 16;

/// What is made of the queries of a block.
#[derive(Debug, Default)]
pub struct Own {
    sketches: Vec<f32>,
    slack: Vec<f32>,
    /// The sketches in bytes.
    short: ByteRows,
    /// The rows in bytes, of those queries that need it.
    bytes: ByteRows,
}

impl Worker<'_> {
    /// Bounds the answers of a block whose first query is number `first`.
    pub(super) fn sketched(&self, sketches: &Sketches<'_>, rows: &[f32], first: usize, scratch: &mut Scratch) {
        let simd = self.context.simd;
        let Scratch { block, own, scores, .. } = scratch;
        let count = rows.len() / self.prepared.width;
        let promising = self.promising();
        if promising {
            let (values, slack) = if let Some(known) = self.known {
                let values = &known.sketches[first * WIDTH..][..count * WIDTH];
                (values, &known.slack[first..][..count])
            } else {
                own.sketches.resize(count * WIDTH, 0.0);
                own.slack.resize(count, 0.0);
                sketches.basis.apply(simd, rows, &mut own.sketches, &mut own.slack);
                (&own.sketches[..], &own.slack[..])
            };
            own.short.fill(simd, &sketches.short, values.chunks_exact(WIDTH), slack);
        }
        let every: Vec<usize> = (0..count).collect();
        for range in self.segments() {
            if !promising {
                self.hard(sketches, rows, &every, &range, block, &mut own.bytes, scores);
                continue;
            }
            let failed = if self.known.is_some() {
                self.narrow_bounded(sketches, rows, &range, block, &own.short, scores)
            } else {
                let wanted = self.wanted(&every, &range, block, &mut scores.wanted);
                let (panels, products) = (&sketches.short_panels, &mut scores.products);
                panels.products(simd, &own.short, range.clone(), wanted, products);
                self.narrow(sketches, rows, &range, block, &own.short, scores)
            };
            self.tried.fetch_add(count, Ordering::Relaxed);
            if !failed.is_empty() {
                self.hard(sketches, rows, &failed, &range, block, &mut own.bytes, scores);
            }
        }
    }

    /// Whether sketches have told enough so far. Only speed depends on it.
    fn promising(&self) -> bool {
        let tried = self.tried.load(Ordering::Relaxed);
        tried < TRIAL || self.failed.load(Ordering::Relaxed) * 2 < tried
    }

    /// Takes from the scores of all queries' sketches in panels `range` what can be their answers. Returns those queries
    /// that are left with more pairs than products over all columns would cost.
    fn narrow(
        &self,
        sketches: &Sketches<'_>,
        rows: &[f32],
        range: &Range<usize>,
        block: &mut Block,
        short: &ByteRows,
        scores: &mut Scores,
    ) -> Vec<usize> {
        let known = &sketches.bytes;
        let mut hard = Vec::new();
        let Scores { products, found, .. } = scores;
        let values = products.values.chunks_exact(range.len());
        let rows = rows.chunks_exact(self.prepared.width).enumerate();
        for ((id, row), (values, lows)) in rows.zip(values.zip(products.lowest.chunks_exact(range.len()))) {
            let scored = self.scored(values, lows, id, range, &block.words);
            let answer = &mut block.answers[id];
            let limit = |most| sketches.limit(short, id, most);
            let Some(probe) = self.within(row, scored, limit, answer, &mut found.rows) else {
                continue;
            };
            let panels = match scored.words {
                [] => values.len(),
                words => words.iter().filter(|word| **word != 0).count(),
            };
            if self.fails(found.rows.len(), panels) {
                hard.push(id);
            } else {
                self.look_closer(known, row, Some(probe), answer, found);
            }
        }
        hard
    }

    /// The same where the answers are bounded beforehand: all bits at once.
    fn narrow_bounded(
        &self,
        sketches: &Sketches<'_>,
        rows: &[f32],
        range: &Range<usize>,
        block: &mut Block,
        short: &ByteRows,
        scores: &mut Scores,
    ) -> Vec<usize> {
        let (simd, panels) = (self.context.simd, &sketches.short_panels);
        let Scores { within, found, .. } = scores;
        let limits: Vec<f32> = (block.answers.iter().enumerate())
            .map(|(id, answer)| sketches.limit(short, id, answer.most))
            .collect();
        panels.within(simd, short, range.clone(), &limits, within);
        let mut hard = Vec::new();
        let rows = rows
            .chunks_exact(self.prepared.width)
            .zip(within.chunks_exact(range.len()));
        for (id, ((row, words), answer)) in rows.zip(&mut block.answers).enumerate() {
            number(simd, words, (range.start * LANES) as u32, &mut found.rows);
            if self.fails(found.rows.len(), range.len()) {
                hard.push(id);
            } else {
                self.look_closer(&sketches.bytes, row, None, answer, found);
            }
        }
        hard
    }

    /// Whether so many pairs are more than products over all columns of `panels` would cost, once too many were.
    fn fails(&self, pairs: usize, panels: usize) -> bool {
        pairs * PAIR_COST > panels * LANES + GROUP * PAIR_COST
            && self.failed.fetch_add(1, Ordering::Relaxed) >= FAILED.max(self.queries / FAILED_SHARE)
    }

    /// Looks at the columns of `found` that the rows' bytes leave, but for `probe`.
    fn look_closer(
        &self,
        known: &RowBytes,
        row: &[f32],
        probe: Option<u32>,
        answer: &mut Answer,
        found: &mut Narrowed,
    ) {
        let mut reach = root_above(answer.most);
        known.narrow(self.context.simd, row, reach, found);
        for (column, lower) in found.nearest_first() {
            if lower <= known.reach(reach) && Some(column) != probe && self.look(row, column, answer) {
                reach = root_above(answer.most);
            }
        }
    }

    /// Panels `range` for the queries `ids` of a block, by the bytes of their rows.
    #[allow(clippy::too_many_arguments)]
    fn hard(
        &self,
        sketches: &Sketches<'_>,
        rows: &[f32],
        ids: &[usize],
        range: &Range<usize>,
        block: &mut Block,
        own: &mut ByteRows,
        scores: &mut Scores,
    ) {
        let (simd, width, known) = (self.context.simd, self.prepared.width, &sketches.bytes);
        let Some(panels) = sketches.byte_panels() else {
            for id in ids {
                self.every(&rows[id * width..][..width], *id, range.clone(), block);
            }
            return;
        };
        let values = ids.iter().map(|id| &rows[id * width..][..width]);
        own.fill(simd, known, values, &[]);
        let wanted = self.wanted(ids, range, block, &mut scores.wanted);
        panels.products(simd, own, range.clone(), wanted, &mut scores.products);
        self.take(rows, ids, range, block, scores, |place, most| {
            panels.limit(own, place, known.reach(root_above(most)))
        });
    }
}
