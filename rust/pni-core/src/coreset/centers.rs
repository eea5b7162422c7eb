//! The centers chosen so far: their rows, their sketches, and how far they are from the newest.

use crate::Simd;
use crate::bounds::bytes::blocks::{ByteBlocks, LONGEST_SKETCH, SketchBytes};
use crate::bounds::bytes::quantize::REACH;
use crate::bounds::pair::PairBounds;
use crate::memory;
use crate::simd::lanes::LANES;

/// How much finer the units are than the largest component of a sketch allows: only the leading ones come near it.
const FINER: f32 = 2.0;

/// What rounding to units leaves of a component on average, on both sides, and the share of a distance that this may be.
const ROUNDED_OFF: f32 = 0.6;
const FINE: f32 = 0.15;

/// All centers, in the order they were chosen.
#[derive(Debug)]
pub struct Centers {
    cols: usize,
    width: usize,
    pair_bounds: PairBounds,
    rows: Vec<f32>,
    sketches: Vec<f32>,
    slack: Vec<f32>,
    /// The largest of them.
    most_slack: f32,
    /// The sketches again, in blocks of 16 centers, component by component.
    blocks: Vec<f32>,
    /// And in bytes around 0, by itself and side by side.
    bytes: Vec<SketchBytes>,
    byte_blocks: ByteBlocks,
    /// Units of the bytes to one.
    scale: f32,
}

impl Centers {
    /// No centers yet; `largest` is about the largest component of a sketch.
    pub fn new(cols: usize, width: usize, largest: f32) -> Self {
        Self {
            cols,
            width,
            pair_bounds: PairBounds::new(cols),
            rows: Vec::new(),
            sketches: Vec::new(),
            slack: Vec::new(),
            most_slack: 0.0,
            blocks: Vec::new(),
            bytes: Vec::new(),
            byte_blocks: ByteBlocks::new(width),
            scale: f32::from(REACH) * if cols == width { 1.0 } else { FINER } / largest.max(1e-30),
        }
    }

    pub fn len(&self) -> usize {
        self.slack.len()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// What float32 says of a pair of rows.
    pub fn pair_bounds(&self) -> PairBounds {
        self.pair_bounds
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.cols..][..self.cols]
    }

    /// Those of all centers.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Those of all centers.
    pub fn sketches(&self) -> &[f32] {
        &self.sketches
    }

    pub fn sketch(&self, index: usize) -> &[f32] {
        &self.sketches[index * self.width..][..self.width]
    }

    /// See the field.
    pub fn byte_blocks(&self) -> &ByteBlocks {
        &self.byte_blocks
    }

    /// See the field.
    pub fn blocks(&self) -> &[f32] {
        &self.blocks
    }

    /// See the field.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Whether points are their own sketches: catching up finds the nearest center then, as it costs little.
    pub fn are_sketches(&self) -> bool {
        self.cols == self.width
    }

    /// Whether the bytes around 0 are fine enough to tell distances below `reach`.
    pub fn fine_within(&self, reach: f32) -> bool {
        ROUNDED_OFF * (self.width as f32).sqrt() <= FINE * reach * self.scale
    }

    /// A center's sketch in bytes around 0.
    pub fn bytes_of(&self, index: usize) -> &SketchBytes {
        &self.bytes[index]
    }

    /// A sketch in bytes around 0.
    pub fn bytes(&self, simd: Simd, sketch: &[f32]) -> SketchBytes {
        SketchBytes::of(simd, sketch, &[0.0; LONGEST_SKETCH][..self.width], self.scale)
    }

    /// See the field.
    pub fn most_slack(&self) -> f32 {
        self.most_slack
    }

    pub fn slack(&self) -> &[f32] {
        &self.slack
    }

    /// Adds a center.
    pub fn push(&mut self, simd: Simd, row: &[f32], sketch: &[f32], slack: f32) {
        let index = self.len();
        memory::extend(&mut self.rows, row);
        memory::extend(&mut self.sketches, sketch);
        memory::push(&mut self.slack, slack);
        self.most_slack = self.most_slack.max(slack);
        if index.is_multiple_of(LANES) {
            let len = self.blocks.len() + LANES * self.width;
            memory::resize(&mut self.blocks, len, 0.0);
        }
        let block = &mut self.blocks[index / LANES * LANES * self.width..];
        for (component, value) in sketch.iter().enumerate() {
            block[component * LANES + index % LANES] = *value;
        }
        let bytes = self.bytes(simd, sketch);
        self.byte_blocks.push(&bytes, slack * self.scale);
        memory::push(&mut self.bytes, bytes);
    }
}

/// Sketches in blocks of 16, component by component; 0 where there is none.
pub fn lay<'a>(sketches: impl Iterator<Item = &'a [f32]>, width: usize, lanes: &mut Vec<f32>) {
    lanes.clear();
    for (i, sketch) in sketches.enumerate() {
        let (block, lane) = (i / LANES * LANES * width, i % LANES);
        if lane == 0 {
            memory::resize(lanes, block + LANES * width, 0.0);
        }
        for (row, value) in lanes[block..].chunks_exact_mut(LANES).zip(sketch) {
            row[lane] = *value;
        }
    }
}
