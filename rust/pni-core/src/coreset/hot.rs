//! The points that can be picked next: kept up to date with every pick.

use super::centers::{Apart, Centers};
use super::points::{Points, State};
use crate::bounds::sketch::compare::{horizon, near, reach};
use crate::distance::squared_within;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;
use crate::threads::Team;
use crate::{Result, Simd, memory};

/// Values to compare from which on the work is shared among threads.
const WORTH_SHARING: usize = 1 << 17;

/// Points at or above a threshold, all up to date; any other point is below the threshold.
#[derive(Debug, Default)]
pub struct Hot {
    points: Vec<u32>,
    centers: Vec<u32>,
    best: Vec<f64>,
    /// At least twice the root of `best`: a pick farther from the point's center leaves it alone.
    horizon: Vec<f32>,
    threshold: f64,
    places: Vec<u32>,
}

/// A point's distance to the newest center, to be found.
#[derive(Clone, Copy)]
struct Doubt {
    place: u32,
    squared: f64,
}

impl Hot {
    /// Starts anew with those of `list` (up to date) at or above `threshold`, the farthest `most` of them and
    /// their equals.
    pub fn fill(&mut self, points: &Points<'_>, list: &[u32], mut threshold: f64, most: usize) {
        self.clear();
        let mut kept = memory::collected(list.iter().map(|point| points.states[*point as usize].best));
        kept.retain(|best| *best >= threshold);
        if kept.len() > most {
            let (_, last, _) = kept.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
            threshold = *last;
        }
        self.threshold = threshold;
        for point in list {
            let state = &points.states[*point as usize];
            if state.best >= threshold {
                memory::push(&mut self.points, *point);
                memory::push(&mut self.centers, state.center);
                memory::push(&mut self.best, state.best);
                memory::push(&mut self.horizon, horizon(state.best));
            }
        }
    }

    fn clear(&mut self) {
        self.points.clear();
        self.centers.clear();
        self.best.clear();
        self.horizon.clear();
    }

    /// The farthest point of all and its squared distance, the lowest row among equals; none when the hot points
    /// have run out.
    pub fn farthest(&self) -> Option<(usize, f64)> {
        let most = self.best.iter().copied().fold(0.0, f64::max);
        if self.best.is_empty() || most < self.threshold {
            return None;
        }
        let equals = self.best.iter().zip(&self.points).filter(|(best, _)| **best == most);
        equals
            .map(|(_, point)| *point)
            .min()
            .map(|point| (point as usize, most))
    }

    /// Writes what is known of the hot points back, and forgets them.
    pub fn leave(&mut self, points: &mut Points<'_>, seen: usize) {
        while !self.points.is_empty() {
            self.drop_place(self.points.len() - 1, points, seen);
        }
    }

    fn drop_place(&mut self, place: usize, points: &mut Points<'_>, seen: usize) {
        let point = self.points.swap_remove(place);
        self.horizon.swap_remove(place);
        let state = State {
            best: self.best.swap_remove(place),
            center: self.centers.swap_remove(place),
            seen: seen as u32,
        };
        points.states[point as usize] = state;
    }

    /// Compares the hot points with the newest center; `apart` is its distance to every center.
    pub fn update(
        &mut self,
        points: &mut Points<'_>,
        centers: &Centers,
        apart: &Apart,
        simd: Simd,
        team: &Team<'_>,
    ) -> Result<()> {
        memory::resize(&mut self.places, self.points.len(), 0);
        let count = affected(simd, apart, &self.centers, &self.horizon, &mut self.places);
        let newest = centers.len() - 1;
        let (sketch, slack) = (centers.sketch(newest), centers.slack()[newest]);
        let mut doubts: Vec<Doubt> = Vec::new();
        for place in &self.places[..count] {
            let (i, point) = (*place as usize, self.points[*place as usize] as usize);
            let reach = reach(self.best[i], points.slack[point] + slack);
            if near(simd, points.sketch(point), sketch, reach) {
                let doubt = Doubt {
                    place: *place,
                    squared: 0.0,
                };
                memory::push(&mut doubts, doubt);
            }
        }
        let (row, cols) = (centers.row(newest), points.matrix.cols());
        let measure = |doubts: &mut [Doubt]| {
            let mut buffer = Vec::new();
            for doubt in doubts {
                let i = doubt.place as usize;
                let point = self.points[i] as usize;
                let other = points.row(point, points.slack[point], &mut buffer);
                doubt.squared = squared_within(simd, other, row, self.best[i]);
            }
        };
        if doubts.len() * cols < WORTH_SHARING {
            measure(&mut doubts);
        } else {
            let part = (WORTH_SHARING / 8 / cols).max(1);
            team.each_chunk(&mut doubts, part, |_, doubts| measure(doubts))?;
        }
        // From the last place down, so that dropping one does not move another.
        for doubt in doubts.iter().rev() {
            let i = doubt.place as usize;
            if doubt.squared < self.best[i] {
                self.best[i] = doubt.squared;
                self.centers[i] = newest as u32;
                self.horizon[i] = horizon(doubt.squared);
                if doubt.squared < self.threshold {
                    self.drop_place(i, points, newest + 1);
                }
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn affected_body<I: Isa>(_isa: I, apart: &Apart, nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize {
    let mut count = 0;
    for (i, (center, horizon)) in nearest.iter().zip(horizon).enumerate() {
        out[count] = i as u32;
        // NaN would count as unaffected; neither is ever NaN.
        count += usize::from(apart.squared[*center as usize] <= apart.limit(*horizon));
    }
    count
}

multiversion! {
    /// Places of the points whose nearest center is not proved too far (`apart`) from the new center; `out` must
    /// be as long as `nearest`. Returns how many.
    pub fn affected(apart: &Apart, nearest: &[u32], horizon: &[f32], out: &mut [u32]) -> usize = affected_body
}
