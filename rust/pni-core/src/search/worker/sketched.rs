//! Queries by their sketches, and by the bytes of their rows where sketches tell too little.

use super::{Answer, Block, PAIR_COST, Scores, Scratch, TRIAL, Worker};
use crate::bounds::bytes::panels::ByteRows;
use crate::bounds::bytes::{Narrowed, RowBytes};
use crate::bounds::products::{PANEL, TILE_ROWS};
use crate::bounds::root_above;
use crate::bounds::sketch::WIDTH;
use crate::memory;
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
    /// Bounds the answers of a block.
    pub(super) fn sketched(&self, sketches: &Sketches<'_>, rows: &[f32], scratch: &mut Scratch) {
        let simd = self.context.simd;
        let Scratch { block, own, scores, .. } = scratch;
        let count = rows.len() / self.prepared.width;
        let promising = self.promising();
        if promising {
            memory::resize(&mut own.sketches, count * WIDTH, 0.0);
            memory::resize(&mut own.slack, count, 0.0);
            sketches.basis.apply(simd, rows, &mut own.sketches, &mut own.slack);
            let values = own.sketches.chunks_exact(WIDTH);
            own.short.fill(simd, &sketches.short, values, &own.slack);
        }
        let every: Vec<usize> = (0..count).collect();
        for range in self.segments() {
            if !promising {
                self.hard(sketches, rows, &every, &range, block, &mut own.bytes, scores);
                continue;
            }
            let wanted = self.wanted(&every, &range, block, &mut scores.wanted);
            let (panels, products) = (&sketches.short_panels, &mut scores.products);
            panels.products(simd, &own.short, range.clone(), wanted, products);
            let failed = self.narrow(sketches, rows, &range, block, &own.short, scores);
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
            let Some(probe) = self.candidates(row, scored, limit, answer, &mut found.rows) else {
                continue;
            };
            let panels = match scored.words {
                [] => values.len(),
                words => words.iter().filter(|word| **word != 0).count(),
            };
            if self.fails(found.rows.len(), panels) {
                hard.push(id);
            } else {
                self.look_closer(known, row, probe, answer, found);
            }
        }
        hard
    }

    /// Whether so many pairs are more than products over all columns of `panels` would cost, once too many were.
    fn fails(&self, pairs: usize, panels: usize) -> bool {
        pairs * PAIR_COST > panels * PANEL + TILE_ROWS * PAIR_COST
            && self.failed.fetch_add(1, Ordering::Relaxed) >= FAILED.max(self.queries / FAILED_SHARE)
    }

    /// Looks at the columns of `found` that the rows' bytes leave, but for `probe`.
    fn look_closer(&self, known: &RowBytes, row: &[f32], probe: u32, answer: &mut Answer, found: &mut Narrowed) {
        let mut reach = root_above(answer.most);
        known.narrow(self.context.simd, row, reach, found);
        for (column, lower) in found.nearest_first() {
            if lower <= known.reach(reach) && column != probe && self.look(row, column, answer) {
                if answer.most < self.enough {
                    return;
                }
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
