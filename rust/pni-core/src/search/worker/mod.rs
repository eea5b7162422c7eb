//! The search for a few queries at a time, on one thread.

mod products;
mod scores;
mod sketched;

use super::mask::Mask;
use super::prepare::{Prepared, Way};
use crate::bounds::bytes::Narrowed;
use crate::bounds::products::{PANEL, Products, TILE_ROWS};
use crate::distance::squared;
use crate::matrix::first_not_finite;
use crate::{Context, Matrix, memory};
use products::Centered;
use sketched::Own;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

/// Queries a thread takes at a time.
pub const PART: usize = 64;
/// Panels whose scores are held at a time.
const SEGMENT: usize = 256;
/// Scores held at a time, of all rows: they stay in the second cache.
const SCORES: usize = 131_072;
/// Looking at one pair costs as much as so many pairs of a product.
const PAIR_COST: usize = 6;
/// Queries after which sketches are judged.
const TRIAL: usize = 256;

/// What one thread works with, kept from part to part.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Vec<f32>,
    block: Block,
    own: Own,
    centered: Centered,
    scores: Scores,
}

/// Some queries and what is known of their answers.
#[derive(Debug, Default)]
struct Block {
    /// The mask's bits, all panels of a row; empty without a mask.
    words: Vec<u32>,
    answers: Vec<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    /// The squared distance of the answer is at most this.
    most: f64,
    /// Columns that can be the answer, with the least their squared distance can be.
    left: Vec<(f64, u32)>,
}

#[derive(Debug, Default)]
struct Scores {
    products: Products,
    wanted: Vec<bool>,
    found: Narrowed,
}

/// What all threads share.
pub struct Worker<'a> {
    prepared: &'a Prepared<'a>,
    mask: Option<&'a Mask<'a>>,
    context: &'a Context<'a>,
    queries: usize,
    /// A target nearer than this (squared) will do, whichever is the nearest.
    enough: f64,
    panels: usize,
    tried: AtomicUsize,
    failed: AtomicUsize,
}

impl<'a> Worker<'a> {
    pub fn new(
        prepared: &'a Prepared<'a>,
        mask: Option<&'a Mask<'a>>,
        queries: usize,
        enough: f64,
        context: &'a Context<'a>,
    ) -> Self {
        Self {
            prepared,
            mask,
            context,
            queries,
            enough,
            panels: prepared.count.div_ceil(PANEL),
            tried: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    /// Answers the queries from `first` on into `found`, or returns the first row that is not finite.
    pub fn load(
        &self,
        queries: &Matrix<'_>,
        first: usize,
        found: &mut [(f64, i64)],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let width = self.prepared.width;
        let mut buffer = std::mem::take(&mut scratch.buffer);
        let rows = queries.load(first..first + found.len(), &mut buffer);
        let bad = first_not_finite(rows, width);
        if bad.is_none() {
            self.part(rows, first, found, scratch);
        }
        scratch.buffer = buffer;
        bad.map(|row| first + row)
    }

    /// Answers finite `rows`, the queries from `first` on. `found` holds what is known: some target's squared canonical distance
    /// and its row, or infinity and −1.
    pub fn part(&self, rows: &[f32], first: usize, found: &mut [(f64, i64)], scratch: &mut Scratch) {
        let width = self.prepared.width;
        let scored = self.panels.min(SEGMENT) * PANEL;
        let step = (SCORES / scored / TILE_ROWS * TILE_ROWS).clamp(TILE_ROWS, PART);
        for (block, (rows, found)) in rows.chunks(step * width).zip(found.chunks_mut(step)).enumerate() {
            self.block(rows, first + block * step, found, scratch);
        }
    }

    /// The panels, so many at a time; none are left once somebody cancels.
    fn segments(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = (0..self.panels).step_by(SEGMENT);
        starts
            .take_while(|_| !self.context.control.cancelled())
            .map(|start| start..(start + SEGMENT).min(self.panels))
    }

    fn block(&self, rows: &[f32], first: usize, found: &mut [(f64, i64)], scratch: &mut Scratch) {
        let count = found.len();
        let block = &mut scratch.block;
        block.answers.resize_with(count, Answer::default);
        for (answer, found) in block.answers.iter_mut().zip(&*found) {
            answer.most = found.0;
            answer.left.clear();
        }
        if let Some(mask) = self.mask {
            memory::resize(&mut block.words, count * self.panels, 0);
            for row in 0..count {
                let (before, own) = block.words.split_at_mut(row * self.panels);
                let before = before.rchunks_exact(self.panels).next();
                mask.columns(first + row, before, &mut own[..self.panels]);
            }
        }
        match &self.prepared.way {
            Way::Pairs => {
                for (id, row) in rows.chunks_exact(self.prepared.width).enumerate() {
                    self.every(row, id, 0..self.panels, block);
                }
            }
            Way::Products(full) => self.products(full, rows, scratch),
            Way::Sketches(sketches) => self.sketched(sketches, rows, scratch),
        }
        let rows = rows.chunks_exact(self.prepared.width);
        for ((row, found), answer) in rows.zip(found).zip(&scratch.block.answers) {
            for (least, column) in &answer.left {
                if *least <= answer.most {
                    let (target, values) = self.prepared.target(*column as usize);
                    let candidate = (squared(self.context.simd, row, values), target as i64);
                    if candidate.0 < found.0 || (candidate.0 == found.0 && candidate.1 < found.1) {
                        *found = candidate;
                    }
                }
            }
        }
    }
}
