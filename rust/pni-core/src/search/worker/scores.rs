//! Scores of a block of queries, however they were made, and what of them can be an answer.

use super::{Answer, Block, Scores, Worker};
use crate::bounds::products::{PANEL, TILE_ROWS};
use crate::memory;
use crate::search::filter::{collect, lowest};
use std::ops::Range;

/// The scores of one query.
#[derive(Clone, Copy)]
pub(super) struct Scored<'a> {
    /// Of the columns from `first` on.
    pub values: &'a [[f32; PANEL]],
    /// The lowest of each panel.
    pub lows: &'a [f32],
    /// The mask's bits; empty without a mask.
    pub words: &'a [u32],
    pub first: u32,
}

impl Worker<'_> {
    /// Flags the groups of queries `ids` and the panels in `range` that the mask allows something of; None without one.
    pub(super) fn wanted<'a>(
        &self,
        ids: &[usize],
        range: &Range<usize>,
        block: &Block,
        wanted: &'a mut Vec<bool>,
    ) -> Option<&'a [bool]> {
        self.mask?;
        wanted.clear();
        for ids in ids.chunks(TILE_ROWS) {
            let start = wanted.len();
            memory::resize(wanted, start + range.len(), false);
            for id in ids {
                let words = &block.words[id * self.panels..][range.clone()];
                let wanted = wanted[start..].iter_mut();
                wanted.zip(words).for_each(|(wanted, word)| *wanted |= *word != 0);
            }
        }
        Some(wanted)
    }

    /// Takes from the scores of queries `ids` what can be their answers. `limit(i, most)` is the highest score that something
    /// within `most` (squared) of query `ids[i]` can have.
    pub(super) fn take(
        &self,
        rows: &[f32],
        ids: &[usize],
        range: &Range<usize>,
        block: &mut Block,
        scores: &mut Scores,
        limit: impl Fn(usize, f64) -> f32,
    ) {
        let (products, found) = (&scores.products, &mut scores.found.rows);
        let values = products.values.chunks_exact(range.len());
        let scored = values.zip(products.lowest.chunks_exact(range.len()));
        for (place, (id, (values, lows))) in ids.iter().zip(scored).enumerate() {
            let row = &rows[id * self.prepared.width..][..self.prepared.width];
            let limit = |most| limit(place, most);
            let scored = self.scored(values, lows, *id, range, &block.words);
            let answer = &mut block.answers[*id];
            let Some(probe) = self.candidates(row, scored, limit, answer, found) else {
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

    /// The scores of query `id` in panels `range`, given the mask's `words`.
    pub(super) fn scored<'a>(
        &self,
        values: &'a [[f32; PANEL]],
        lows: &'a [f32],
        id: usize,
        range: &Range<usize>,
        words: &'a [u32],
    ) -> Scored<'a> {
        let words = match self.mask {
            Some(_) => &words[id * self.panels..][range.clone()],
            None => &[],
        };
        let first = (range.start * PANEL) as u32;
        Scored {
            values,
            lows,
            words,
            first,
        }
    }

    /// Looks at the column of the lowest score, then writes to `found` the columns that can still be the answer: those of
    /// scores at most `limit` of its squared distance. Returns the column it looked at; none where nothing can be.
    pub(super) fn candidates(
        &self,
        row: &[f32],
        scored: Scored<'_>,
        limit: impl Fn(f64) -> f32,
        answer: &mut Answer,
        found: &mut Vec<u32>,
    ) -> Option<u32> {
        let Scored {
            values,
            lows,
            words,
            first,
        } = scored;
        let simd = self.context.simd;
        if answer.most < self.enough {
            return None;
        }
        let lowest = lowest(simd, values, lows, words);
        if lowest > limit(answer.most) {
            return None;
        }
        found.clear();
        collect(simd, values, lows, words, lowest, first, found);
        let probe = found.first().copied()?;
        self.look(row, probe, answer);
        if answer.most < self.enough {
            return None;
        }
        found.clear();
        collect(simd, values, lows, words, limit(answer.most), first, found);
        Some(probe)
    }

    /// Looks at one pair in float32; whether that brought the answer's bound down.
    #[inline]
    pub(super) fn look(&self, row: &[f32], column: u32, answer: &mut Answer) -> bool {
        let target = self.prepared.target(column as usize).1;
        let (least, most) = self.prepared.bounds.of(self.context.simd, row, target);
        if least <= answer.most {
            memory::push(&mut answer.left, (least, column));
        }
        let closer = most < answer.most;
        if closer {
            answer.most = most;
        }
        closer
    }

    /// Looks at every pair of a query in panels `range`.
    pub(super) fn every(&self, row: &[f32], id: usize, range: Range<usize>, block: &mut Block) {
        for panel in range {
            if self.context.control.cancelled() {
                return;
            }
            let word = match self.mask {
                Some(_) => block.words[id * self.panels + panel],
                None => u32::MAX,
            };
            let columns = PANEL.min(self.prepared.count - panel * PANEL);
            for lane in (0..columns).filter(|lane| word >> lane & 1 == 1) {
                self.look(row, (panel * PANEL + lane) as u32, &mut block.answers[id]);
            }
        }
    }
}
