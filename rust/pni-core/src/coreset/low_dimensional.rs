//! Catching up for points that are their own sketches: a float32 distance leaves hardly anything in doubt.

use super::centers::{Centers, lay};
use super::cover::{Entry, horizon_of};
use super::later::{Asked, Scratch, all_within};
use super::points::{Points, State};
use crate::Simd;
use crate::bounds::lowest::{lanes_up_to, lowest_lane};
use crate::bounds::sketch::compare::{blocks, decisive, reach};
use crate::distance::squared_within;
use crate::memory;
use crate::simd::prefetch;

/// Centers that are looked for by their bound, the nearest first, before all others are gone through.
const NEAREST_FIRST: usize = 6;

/// Compares points, ordered by their nearest center, with the centers they have not seen.
pub fn catch_up_exactly(entries: &mut [Entry], points: &Points<'_>, centers: &Centers, simd: Simd) {
    for entry in &*entries {
        prefetch(points.sketch(entry.point as usize));
    }
    let (mut candidates, mut scratch) = (Vec::new(), Scratch::default());
    let (mut lanes, mut bounds, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
        let asked = Asked {
            center: members[0].state.center as usize,
            seen: members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize,
            horizon: horizon_of(members),
        };
        all_within(centers, asked, simd, &mut scratch, &mut candidates);
        let sketches = candidates.iter().map(|index| centers.sketch(*index as usize));
        lay(sketches, centers.width(), &mut lanes);
        for entry in members {
            if !candidates.is_empty() {
                let one = One {
                    slack: entry.slack,
                    row: points.row(entry.point as usize, entry.slack, &mut buffer),
                    centers,
                    simd,
                };
                let (sketch, limit) = (points.sketch(entry.point as usize), one.limit(&entry.state));
                memory::resize(&mut bounds, lanes.len() / sketch.len(), 0.0);
                blocks(simd, sketch, &lanes, limit, &mut bounds);
                bounds[candidates.len()..].fill(f32::INFINITY);
                one.find(&candidates, &mut bounds, &mut entry.state);
            }
            entry.state.seen = centers.len() as u32;
        }
    }
}

/// A point, and what it is compared with.
struct One<'a> {
    slack: f32,
    row: &'a [f32],
    centers: &'a Centers,
    simd: Simd,
}

impl One<'_> {
    /// Lowers `state` to the nearest of `candidates`, given a bound for each lane.
    fn find(&self, candidates: &[u32], bounds: &mut [f32], state: &mut State) {
        for _ in 0..NEAREST_FIRST {
            let lane = lowest_lane(self.simd, bounds);
            if bounds[lane] > self.limit(state) || bounds[lane] == f32::INFINITY {
                return;
            }
            self.measure(candidates[lane], state);
            bounds[lane] = f32::INFINITY;
        }
        let mut open = Vec::new();
        lanes_up_to(self.simd, bounds, self.limit(state).min(f32::MAX), &mut open);
        for lane in open {
            if bounds[lane as usize] <= self.limit(state) {
                self.measure(candidates[lane as usize], state);
            }
        }
    }

    /// What a bound must exceed to prove a center no nearer.
    fn limit(&self, state: &State) -> f32 {
        decisive(reach(state.best, self.slack + self.centers.most_slack()))
    }

    /// Lowers `state` to a center that is nearer.
    fn measure(&self, index: u32, state: &mut State) {
        let distance = squared_within(self.simd, self.row, self.centers.row(index as usize), state.best);
        if distance < state.best || (distance == state.best && index < state.center) {
            (state.best, state.center) = (distance, index);
        }
    }
}
