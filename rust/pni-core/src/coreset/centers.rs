//! The centres chosen so far: their rows, their sketches, and which of them lie near each other.

use super::links::Links;
use crate::Simd;
use crate::bounds::bytes::lanes::{BYTES, Bytes, Lanes};
use crate::bounds::bytes::quantize::REACH;
use crate::bounds::sketch::compare::{BLOCK, RELATIVE, blocks, decisive};

/// How much finer the units are than the largest component of a sketch allows: only the leading ones come near it.
const FINER: f32 = 4.0;

/// All centres, in the order they were chosen.
#[derive(Debug)]
pub struct Centers {
    cols: usize,
    width: usize,
    rows: Vec<f32>,
    sketches: Vec<f32>,
    slack: Vec<f32>,
    /// The largest of them.
    most_slack: f32,
    /// The sketches again, in blocks of 16 centres, component by component.
    blocks: Vec<f32>,
    /// And in bytes around 0, `per` units to one, by itself and side by side.
    bytes: Vec<Bytes>,
    lanes: Lanes,
    per: f32,
    pub(super) links: Links,
}

/// How far all centres are from the newest.
#[derive(Debug, Default)]
pub struct Apart {
    /// Squared distances in units: with the errors, at most the true ones.
    pub squared: Vec<f32>,
    /// Units to one.
    pub per: f32,
    /// In units.
    pub error: f32,
}

impl Apart {
    /// What a squared distance must exceed to prove a centre farther than `reach`.
    pub fn limit(&self, reach: f32) -> f32 {
        decisive(reach * self.per + self.error)
    }
}

impl Centers {
    /// No centres yet; `linked_from` come without links. `largest` is about the largest component of a sketch.
    pub fn new(cols: usize, width: usize, linked_from: usize, largest: f32) -> Self {
        let mut lanes = Lanes::default();
        lanes.reset(width);
        Self {
            cols,
            width,
            rows: Vec::new(),
            sketches: Vec::new(),
            slack: Vec::new(),
            most_slack: 0.0,
            blocks: Vec::new(),
            bytes: Vec::new(),
            lanes,
            per: f32::from(REACH) * if cols == width { 1.0 } else { FINER } / largest.max(1e-30),
            links: Links::new(linked_from),
        }
    }

    pub fn len(&self) -> usize {
        self.slack.len()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.cols..][..self.cols]
    }

    /// Those of all centres.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Those of all centres.
    pub fn sketches(&self) -> &[f32] {
        &self.sketches
    }

    pub fn sketch(&self, index: usize) -> &[f32] {
        &self.sketches[index * self.width..][..self.width]
    }

    /// See the field.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// See the field.
    pub fn blocks(&self) -> &[f32] {
        &self.blocks
    }

    /// See the field.
    pub fn per(&self) -> f32 {
        self.per
    }

    /// Whether points are their own sketches: catching up finds the nearest centre then, as it costs little.
    pub fn exact(&self) -> bool {
        self.cols == self.width
    }

    /// Whether the bytes around 0 are fine enough to tell distances below `reach`.
    pub fn fine_within(&self, reach: f32) -> bool {
        // Rounding leaves 0.29 units a component on average, on both sides.
        0.6 * (self.width as f32).sqrt() <= 0.15 * reach * self.per
    }

    /// A sketch in bytes around 0.
    pub fn bytes(&self, simd: Simd, sketch: &[f32]) -> Bytes {
        Bytes::of(simd, sketch, &[0.0; BYTES][..self.width], self.per)
    }

    /// See the field.
    pub fn most_slack(&self) -> f32 {
        self.most_slack
    }

    pub fn slack(&self) -> &[f32] {
        &self.slack
    }

    /// Adds a centre.
    pub fn push(&mut self, simd: Simd, row: &[f32], sketch: &[f32], slack: f32) {
        let index = self.len();
        self.rows.extend_from_slice(row);
        self.sketches.extend_from_slice(sketch);
        self.slack.push(slack);
        self.most_slack = self.most_slack.max(slack);
        if index.is_multiple_of(BLOCK) {
            self.blocks.resize(self.blocks.len() + BLOCK * self.width, 0.0);
        }
        let block = &mut self.blocks[index / BLOCK * BLOCK * self.width..];
        for (component, value) in sketch.iter().enumerate() {
            block[component * BLOCK + index % BLOCK] = *value;
        }
        let bytes = self.bytes(simd, sketch);
        self.lanes.push(&bytes, slack * self.per);
        self.bytes.push(bytes);
    }

    /// Measures how far all centres are from the newest, as far as that is below `horizon`.
    pub fn apart(&self, simd: Simd, horizon: f32, out: &mut Apart) {
        let newest = self.len() - 1;
        if self.exact() || !self.fine_within(horizon) {
            (out.per, out.error) = (1.0 + RELATIVE, self.slack[newest] + self.most_slack);
            out.squared.resize(self.len().next_multiple_of(BLOCK), 0.0);
            blocks(
                simd,
                self.sketch(newest),
                &self.blocks,
                out.limit(horizon),
                &mut out.squared,
            );
        } else {
            let view = self.lanes.from(0);
            let bytes = &self.bytes[newest];
            view.compare_one(simd, bytes, &mut out.squared);
            out.per = self.per;
            out.error = bytes.error + view.slack + self.slack[newest] * self.per;
        }
    }
}
