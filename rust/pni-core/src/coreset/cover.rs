//! Any center near enough to a point to keep it out of the hot ones: which is nearest need not be known.
//!
//! The points of one cell, four at a time, against the later centers that may be nearer to them.

use super::centers::Centers;
use super::points::{Points, State};
use crate::Simd;
use crate::bounds::bytes::blocks::{ByteBlocks, ByteView, POINTS, SketchBytes};
use crate::bounds::bytes::quantize::REACH;
use crate::bounds::lowest::lowest_lane;
use crate::bounds::sketch::compare::{decisive, horizon, reach};
use crate::memory;
use crate::simd::lanes::LANES;
use crate::simd::prefetch;
use std::ops::Range;

/// Candidates a point is measured against, at most. The first is near enough for 19 of 20 points.
const TRIES: usize = 4;

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
                for candidate in &self.candidates {
                    self.blocks.push_from(centers.byte_blocks(), *candidate as usize);
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

/// Up to four points that are compared together.
#[derive(Default)]
pub struct Group {
    pub members: Range<usize>,
    /// The first lane that matters to them.
    pub first: usize,
    /// Squared distances of the bytes, in units: a run for each point.
    squared: Vec<f32>,
    /// Errors of the points' bytes.
    pub errors: [f32; POINTS],
    /// The lane each point is measured against first; no lane where nothing is in doubt.
    pub aims: [usize; POINTS],
}

impl Group {
    /// The run of a point.
    pub fn squared_mut(&mut self, i: usize) -> &mut [f32] {
        let lanes = self.squared.len() / POINTS;
        &mut self.squared[i * lanes..][..lanes]
    }
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
    /// Compares the points of a group with all lanes, by bytes.
    pub fn compare(&self, entries: &[Entry], group: &mut Group) {
        let sketch = |i: usize| self.points.sketch(entries[i.min(entries.len() - 1)].point as usize);
        let bytes = self.cell.bytes(self.simd, [sketch(0), sketch(1), sketch(2), sketch(3)]);
        // Members are in the order of what they have seen.
        group.first = self.cell.first_lane(entries[0].state.seen as usize);
        let view = self.view.from(group.first);
        view.compare(self.simd, &bytes, &mut group.squared);
        group.errors = [0, 1, 2, 3].map(|i: usize| bytes[i].error);
    }

    /// The centers in the lanes of a group.
    pub fn indices(&self, group: &Group) -> &[u32] {
        &self.cell.candidates[group.first..]
    }

    /// Sets the lane a point is measured against first, and asks for both rows.
    pub fn aim(&self, entry: &Entry, group: &mut Group, i: usize, lane: usize) {
        group.aims[i] = lane;
        if let Some(index) = self.indices(group).get(lane) {
            self.points.prefetch(entry.point as usize);
            prefetch(self.centers.row(*index as usize));
        }
    }

    /// Finds the center that looks nearest to each point of a group, and asks for the rows.
    pub fn aim_at_cover(&self, members: &[Entry], group: &mut Group) {
        let entries = &members[group.members.clone()];
        self.compare(entries, group);
        for (i, entry) in entries.iter().enumerate() {
            let own = self.cell.own_lane(entry.state.center as usize, group.first);
            let squared = group.squared_mut(i);
            if let Some(own) = own {
                squared[own] = f32::INFINITY;
            }
            let lane = lowest_lane(self.simd, squared);
            self.aim(entry, group, i, lane);
        }
    }

    /// Measures what looks nearest until something is nearer than `enough` (squared), or nothing can be.
    pub fn find_cover(&self, enough: f64, members: &mut [Entry], group: &mut Group, buffer: &mut Vec<f32>) {
        for (i, entry) in members[group.members.clone()].iter_mut().enumerate() {
            let limit = decisive(self.cell.units(reach(enough, entry.slack)) + group.errors[i] + self.view.slack);
            let row = self.points.row(entry.point as usize, entry.slack, buffer);
            let mut lane = group.aims[i];
            for _ in 0..TRIES {
                let Some(index) = self.indices(group).get(lane).copied() else {
                    break;
                };
                let squared = group.squared_mut(i);
                if squared[lane] > limit {
                    break;
                }
                let distance = self
                    .centers
                    .pair_bounds()
                    .of(self.simd, row, self.centers.row(index as usize))
                    .1;
                if distance < entry.state.best {
                    (entry.state.best, entry.state.center) = (distance, index);
                    if distance < enough {
                        break;
                    }
                }
                squared[lane] = f32::INFINITY;
                lane = lowest_lane(self.simd, squared);
            }
        }
    }
}
