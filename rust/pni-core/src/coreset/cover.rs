//! Any center near enough to a point to keep it out of the hot ones: which is nearest need not be known.
//!
//! The points of one cell, four at a time, against the later centers that may be nearer to them.

use super::centers::Centers;
use super::points::{Points, State};
use crate::Simd;
use crate::bounds::bytes::blocks::{ByteBlocks, ByteView, POINTS, SketchBytes};
use crate::bounds::bytes::quantize::REACH;
use crate::bounds::lowest::{LOWEST, low_lanes};
use crate::bounds::sketch::compare::{decisive, horizon, reach};
use crate::memory;
use crate::simd::lanes::LANES;
use crate::simd::prefetch;
use std::ops::Range;
use std::slice;

/// A point that catches up.
#[derive(Clone, Copy)]
pub struct Entry {
    pub state: State,
    pub point: u32,
    pub slack: f32,
}

/// No center farther than this from theirs can be nearer to one of these points.
pub fn horizon_of(members: &[Entry]) -> f32 {
    let most = members.iter().map(|entry| entry.state.best).fold(0.0, f64::max);
    horizon(most)
}

/// What laying out a candidate costs, in comparisons with one point.
const LAYING: usize = 32;

/// Centers, for each value of a row, from which on all that look near are measured, though one would do: a nearer one spares
/// points catching up again and being settled against all centers, which takes longer the more there are.
const THOROUGH: usize = 8;

/// Candidates whose bytes are asked for before they are needed.
const AHEAD: usize = 8;

/// A component of a point is rarely longer than so many times the root of the mean of their squares.
const SPREAD: f32 = 2.8;

/// The candidates of some points with the same nearest center.
#[derive(Debug, Default)]
pub struct Cell {
    /// The centers to compare with.
    pub candidates: Vec<u32>,
    blocks: ByteBlocks,
    /// Where the candidates are all centers from here on, whose own lanes serve.
    first: Option<usize>,
    origin: Vec<f32>,
    /// Units of the bytes to one.
    scale: f32,
}

impl Cell {
    /// Lays out the candidates of `members` points, found within `horizon` of `center` among the centers from `seen`
    /// on.
    pub fn lay(&mut self, simd: Simd, center: usize, seen: usize, horizon: f32, members: usize, centers: &Centers) {
        let first = seen / LANES * LANES;
        let all = centers.len() - first;
        self.origin.clear();
        self.first = None;
        if centers.fine_within(horizon / 2.0) {
            self.scale = centers.scale();
            memory::resize(&mut self.origin, centers.width(), 0.0);
            if self.candidates.len() * (LAYING + members) >= all * members {
                self.first = Some(first);
                self.candidates.clear();
                memory::reserve(&mut self.candidates, all);
                self.candidates.extend(first as u32..centers.len() as u32);
            } else {
                self.blocks.reset(centers.width());
                for (i, candidate) in self.candidates.iter().enumerate() {
                    if let Some(later) = self.candidates.get(i + AHEAD) {
                        prefetch(slice::from_ref(centers.bytes_of(*later as usize)));
                    }
                    let index = *candidate as usize;
                    self.blocks
                        .push_known(centers.bytes_of(index), centers.byte_blocks(), index);
                }
            }
            return;
        }
        // A point is within half the horizon of its center, and the more components share that, the less of each is cut
        // off by finer units.
        let finer = ((centers.width() as f32).sqrt() / SPREAD).max(1.0);
        self.scale = f32::from(REACH) * 2.0 * finer / horizon.max(1e-30);
        self.origin.extend_from_slice(centers.sketch(center));
        self.blocks.reset(centers.width());
        for candidate in &self.candidates {
            let index = *candidate as usize;
            let bytes = SketchBytes::of(simd, centers.sketch(index), &self.origin, self.scale);
            self.blocks.push(&bytes, centers.slack()[index] * self.scale);
        }
    }

    /// The lanes of the candidates.
    pub fn view<'a>(&'a self, centers: &'a Centers) -> ByteView<'a> {
        self.first
            .map_or_else(|| self.blocks.from(0), |first| centers.byte_blocks().from(first))
    }

    /// The lane, counted from lane `from`, of a center that is not a candidate but lies among them.
    pub fn own_lane(&self, center: usize, from: usize) -> Option<usize> {
        self.first.and_then(|first| center.checked_sub(first + from))
    }

    /// The first lane, a multiple of 16, that can matter to points that have seen the centers below `seen`.
    pub fn first_lane(&self, seen: usize) -> usize {
        self.first.map_or(0, |first| (seen - first) / LANES * LANES)
    }

    /// Up to four points in the bytes of this cell.
    pub fn bytes(&self, simd: Simd, sketches: [&[f32]; POINTS]) -> [SketchBytes; POINTS] {
        sketches.map(|sketch| SketchBytes::of(simd, sketch, &self.origin, self.scale))
    }

    /// A distance in units.
    pub fn units(&self, distance: f32) -> f32 {
        distance * self.scale
    }
}

/// A center that may be near a point, and how far their bytes are from each other.
#[derive(Clone, Copy)]
struct Try {
    squared: f32,
    index: u32,
}

/// Up to four points that are compared together.
#[derive(Default)]
pub struct Group {
    pub members: Range<usize>,
    /// Errors of the points' bytes.
    errors: [f32; POINTS],
    /// What each is to be measured against, the nearest by bytes first.
    tries: [Vec<Try>; POINTS],
}

/// Buffers.
#[derive(Default)]
pub struct Buffers {
    squared: Vec<f32>,
    lanes: Vec<u32>,
    row: Vec<f32>,
}

/// What the points of a cell are compared with.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub cell: &'a Cell,
    pub view: ByteView<'a>,
    pub points: &'a Points<'a>,
    pub centers: &'a Centers,
    pub simd: Simd,
}

impl Pass<'_> {
    /// What the bytes must exceed to prove a center no nearer to a point than the root of `squared`.
    fn limit(&self, squared: f64, slack: f32, error: f32) -> f32 {
        decisive(self.cell.units(reach(squared, slack)) + error + self.view.slack)
    }

    /// Finds the centers that look nearest to each point of a group, and asks for the rows.
    pub fn aim(&self, enough: f64, members: &[Entry], group: &mut Group, buffers: &mut Buffers) {
        let entries = &members[group.members.clone()];
        let sketch = |i: usize| self.points.sketch(entries[i.min(entries.len() - 1)].point as usize);
        let bytes = self.cell.bytes(self.simd, [sketch(0), sketch(1), sketch(2), sketch(3)]);
        group.errors = [0, 1, 2, 3].map(|i: usize| bytes[i].error);
        // Members are in the order of what they have seen.
        let first = self.cell.first_lane(entries[0].state.seen as usize);
        let Buffers { squared, lanes, .. } = buffers;
        self.view.from(first).compare(self.simd, &bytes, squared);
        let indices = &self.cell.candidates[first..];
        let lanes_each = squared.len() / POINTS;
        let runs = squared.chunks_exact_mut(lanes_each);
        for (((entry, squared), error), tries) in entries.iter().zip(runs).zip(group.errors).zip(&mut group.tries) {
            if let Some(own) = self.cell.own_lane(entry.state.center as usize, first) {
                squared[own] = f32::INFINITY;
            }
            let limit = self.limit(enough, entry.slack, error);
            lanes.clear();
            low_lanes(self.simd, squared, limit, lanes);
            tries.clear();
            // Lanes without a center are within an infinite limit.
            for (lane, index) in lanes
                .iter()
                .map_while(|lane| Some((*lane, *indices.get(*lane as usize)?)))
            {
                let squared = squared[lane as usize];
                memory::push(tries, Try { squared, index });
            }
            tries.sort_unstable_by(|a, b| a.squared.total_cmp(&b.squared));
            tries.truncate(LOWEST);
            if let Some(nearest) = tries.first() {
                self.points.prefetch(entry.point as usize);
                prefetch(self.centers.row(nearest.index as usize));
            }
        }
    }

    /// Measures what looks near, as long as it may be nearer than `enough` (squared) and what is known.
    pub fn find_cover(&self, enough: f64, members: &mut [Entry], group: &Group, buffers: &mut Buffers) {
        let one_will_do = self.centers.len() < THOROUGH * self.centers.row(0).len();
        let entries = &mut members[group.members.clone()];
        for ((entry, tries), error) in entries.iter_mut().zip(&group.tries).zip(group.errors) {
            if tries.is_empty() {
                continue;
            }
            let row = self.points.row(entry.point as usize, entry.slack, &mut buffers.row);
            for near in tries {
                if near.squared > self.limit(entry.state.best.min(enough), entry.slack, error) {
                    break;
                }
                let other = self.centers.row(near.index as usize);
                let most = self.centers.pair_bounds().of(self.simd, row, other).1;
                if most < entry.state.best {
                    (entry.state.best, entry.state.center) = (most, near.index);
                    if one_will_do && most < enough {
                        break;
                    }
                }
            }
        }
    }
}
