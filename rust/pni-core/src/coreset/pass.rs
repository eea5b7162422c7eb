//! The points of one cell against its candidates, four points at a time.

use super::cell::Cell;
use super::centers::Centers;
use super::points::{Points, State};
use crate::Simd;
use crate::bounds::bytes::lanes::{GROUP, View};
use crate::bounds::sketch::compare::RELATIVE;
use crate::distance::root_above;
use crate::simd::prefetch;
use std::ops::Range;

/// A point that catches up.
#[derive(Clone, Copy)]
pub struct Entry {
    pub state: State,
    pub point: u32,
    pub slack: f32,
}

/// No centre farther than this from theirs can be nearer to one of these points.
pub fn horizon_of(members: &[Entry]) -> f32 {
    let most = members.iter().map(|entry| entry.state.best).fold(0.0, f64::max);
    2.0 * root_above(most) * (1.0 + 2.0 * RELATIVE)
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
    pub errors: [f32; GROUP],
    /// The lane each point is measured against first; no lane where nothing is in doubt.
    pub aims: [usize; GROUP],
}

impl Group {
    /// The run of a point.
    pub fn squared_mut(&mut self, i: usize) -> &mut [f32] {
        let lanes = self.squared.len() / GROUP;
        &mut self.squared[i * lanes..][..lanes]
    }
}

/// What the points of a cell are compared with.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub cell: &'a Cell,
    pub view: View<'a>,
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

    /// The centres in the lanes of a group.
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
}
