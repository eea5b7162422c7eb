//! One point and its nearest centre, by float32 bounds from its sketch.

use super::centers::Centers;
use super::points::{Points, State};
use crate::Simd;
use crate::bounds::lowest::least;
use crate::bounds::sketch::compare::{BLOCK, RELATIVE, blocks, decisive, sketches_apart, within};
use crate::distance::root_above;
use crate::distance::squared_within;

/// Centres that are looked for by their bound, the nearest first, before all others are gone through.
const FIRST: usize = 6;

/// A point, and what it is compared with.
pub struct One<'a> {
    sketch: &'a [f32],
    slack: f32,
    pub row: &'a [f32],
    centers: &'a Centers,
    simd: Simd,
}

impl<'a> One<'a> {
    /// A point and its slack; `buffer` holds its row where that must be converted.
    pub fn new(
        point: usize,
        slack: f32,
        points: &'a Points<'_>,
        centers: &'a Centers,
        simd: Simd,
        buffer: &'a mut Vec<f32>,
    ) -> Self {
        Self {
            sketch: points.sketch(point),
            slack,
            row: points.row(point, slack, buffer),
            centers,
            simd,
        }
    }

    /// Writes to `bounds` what the sketches say of the squared distances to the centres in `lanes` (as in
    /// [`blocks`]).
    pub fn bound(&self, state: &State, lanes: &[f32], bounds: &mut Vec<f32>) {
        bounds.resize(lanes.len() / self.sketch.len(), 0.0);
        blocks(self.simd, self.sketch, lanes, self.limit(state), bounds);
    }

    /// The same of `some` centres; what follows them is infinite.
    pub fn bound_some(&self, some: &[u32], bounds: &mut Vec<f32>) {
        sketches_apart(self.simd, self.sketch, self.centers.sketches(), some, bounds);
        bounds.resize(some.len().next_multiple_of(BLOCK), f32::INFINITY);
    }

    /// Lowers `state` to the nearest centre, or to one nearer than `enough` (squared). `index` says which centre has the
    /// bound in a lane; lanes whose bound is infinite are passed over.
    pub fn find(&self, enough: f64, state: &mut State, bounds: &mut [f32], index: impl Fn(usize) -> u32) {
        if bounds.is_empty() {
            return;
        }
        for _ in 0..FIRST {
            let lane = least(self.simd, bounds);
            if bounds[lane] > self.limit(state) || bounds[lane] == f32::INFINITY {
                return;
            }
            self.measure(index(lane), state);
            if state.best < enough {
                return;
            }
            bounds[lane] = f32::INFINITY;
        }
        let mut limit = self.limit(state);
        for (lane, bound) in bounds.iter().enumerate() {
            if *bound <= limit && *bound < f32::INFINITY {
                self.measure(index(lane), state);
                if state.best < enough {
                    return;
                }
                limit = self.limit(state);
            }
        }
    }

    /// What a bound must exceed to prove a centre no nearer.
    fn limit(&self, state: &State) -> f32 {
        decisive((root_above(state.best) + self.slack) * (1.0 + RELATIVE) + self.centers.most_slack())
    }

    /// Lowers `state` to a centre that is nearer.
    pub fn measure(&self, index: u32, state: &mut State) {
        let other = self.centers.row(index as usize);
        // Of few dimensions the bound has said it all.
        if self.row.len() > self.sketch.len() && !within(self.simd, self.row, other, state.best) {
            return;
        }
        let distance = squared_within(self.simd, self.row, other, state.best);
        if distance < state.best || (distance == state.best && index < state.center) {
            (state.best, state.center) = (distance, index);
        }
    }
}
