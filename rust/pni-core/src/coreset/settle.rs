//! The nearest of all centres, exactly, for points that may be picked next.

use super::bounds::{RELATIVE, blocks, decisive, within};
use super::centers::Centers;
use super::points::{Points, State, root_above};
use super::screen::least;
use crate::distance::{squared, squared_within};
use crate::threads::Team;
use crate::{Result, Simd};

/// Points a thread takes at a time.
const PART: usize = 16;

/// Centres that are looked for by their bound, the nearest first, before all others are gone through.
const FIRST: usize = 6;

/// For each point of `list`, finds a centre nearer than `enough` (squared) or, where there is none, the nearest.
pub fn settle(
    points: &mut Points<'_>,
    list: &[u32],
    enough: f64,
    centers: &Centers,
    simd: Simd,
    team: &Team<'_>,
) -> Result<()> {
    let mut found: Vec<(usize, State)> = list
        .iter()
        .map(|point| (*point as usize, points.states[*point as usize]))
        .collect();
    let shared: &Points<'_> = points;
    team.each_chunk(&mut found, PART, |_, found| {
        let (mut bounds, mut buffer) = (Vec::new(), Vec::new());
        for (point, state) in found {
            let slack = shared.slack[*point];
            let one = One {
                sketch: shared.sketch(*point),
                slack,
                row: shared.row(*point, slack, &mut buffer),
                centers,
                simd,
            };
            // Until now this may have been an upper bound.
            state.best = squared(simd, one.row, centers.row(state.center as usize));
            one.settle(enough, state, &mut bounds);
            state.seen = centers.len() as u32;
        }
    })?;
    for (point, state) in found {
        points.states[point] = state;
    }
    Ok(())
}

/// A point and all centres.
struct One<'a> {
    sketch: &'a [f32],
    slack: f32,
    row: &'a [f32],
    centers: &'a Centers,
    simd: Simd,
}

impl One<'_> {
    fn settle(&self, enough: f64, state: &mut State, bounds: &mut Vec<f32>) {
        if state.best < enough {
            return;
        }
        let (simd, centers) = (self.simd, self.centers);
        let reach = decisive(self.reach(state) + centers.most_slack());
        bounds.resize(centers.block_lanes(), 0.0);
        blocks(simd, self.sketch, centers.blocks(), reach, bounds);
        // Lanes without a centre, and the point's own.
        bounds[centers.len()..].fill(f32::INFINITY);
        bounds[state.center as usize] = f32::INFINITY;
        for _ in 0..FIRST {
            let index = least(simd, bounds);
            if bounds[index] > decisive(self.reach(state) + centers.most_slack()) {
                return;
            }
            self.measure(index, state);
            if state.best < enough {
                return;
            }
            bounds[index] = f32::INFINITY;
        }
        let mut reach = self.reach(state);
        for (index, (bound, slack)) in bounds.iter().zip(centers.slack()).enumerate() {
            // Written so that NaN leaves the centre in.
            let apart = *bound > decisive(reach + slack);
            if !apart {
                self.measure(index, state);
                if state.best < enough {
                    return;
                }
                reach = self.reach(state);
            }
        }
    }

    /// At least the point's distance and its slack.
    fn reach(&self, state: &State) -> f32 {
        (root_above(state.best) + self.slack) * (1.0 + RELATIVE)
    }

    fn measure(&self, index: usize, state: &mut State) {
        let other = self.centers.row(index);
        if !within(self.simd, self.row, other, state.best) {
            return;
        }
        let distance = squared_within(self.simd, self.row, other, state.best);
        if distance < state.best || (distance == state.best && (index as u32) < state.center) {
            (state.best, state.center) = (distance, index as u32);
        }
    }
}
