//! The points that can be picked next: kept up to date with every pick.

use super::centers::{Centers, lay};
use super::points::{Points, State};
use crate::bounds::bytes::blocks::ByteBlocks;
use crate::bounds::lowest::lanes_up_to;
use crate::bounds::root_above;
use crate::bounds::sketch::compare::{blocks, decisive, near, reach};
use crate::distance::squared_within;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;
use crate::threads::Team;
use crate::{Result, Simd, memory};

/// Values to compare from which on the work is shared among threads.
const WORTH_SHARING: usize = 1 << 17;

/// Points that are no longer hot, among so many that are, at most.
const GONE: usize = 64;

/// What is known of a hot point that has become something else.
const NO_LONGER: f64 = -1.0;

/// Points at or above a threshold, all up to date; any other point is below the threshold.
#[derive(Debug)]
pub struct Hot {
    points: Vec<u32>,
    centers: Vec<u32>,
    /// [`NO_LONGER`] where the point has gone.
    best: Vec<f64>,
    gone: usize,
    /// The most of `best`, at least.
    most: f64,
    threshold: f64,
    lanes: Lanes,
    squared: Vec<f32>,
    places: Vec<u32>,
}

/// The sketches of hot points, side by side: in bytes where those are fine enough.
#[derive(Debug, Default)]
struct Lanes {
    bytes: Option<ByteBlocks>,
    sketches: Vec<f32>,
    /// Of the points.
    most_slack: f32,
}

/// A point's distance to the newest center, to be found.
#[derive(Clone, Copy)]
struct Doubt {
    place: u32,
    squared: f64,
}

impl Default for Hot {
    /// No points, and no threshold yet.
    fn default() -> Self {
        Self {
            points: Vec::new(),
            centers: Vec::new(),
            best: Vec::new(),
            gone: 0,
            most: 0.0,
            threshold: f64::INFINITY,
            lanes: Lanes::default(),
            squared: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl Hot {
    /// Starts anew with those of `list` (up to date) at or above `threshold`, the farthest `most` of them and
    /// their equals.
    pub fn fill(
        &mut self,
        points: &Points<'_>,
        list: &[u32],
        mut threshold: f64,
        most: usize,
        centers: &Centers,
        simd: Simd,
    ) {
        let mut kept = memory::collected(list.iter().map(|point| points.states[*point as usize].best));
        kept.retain(|best| *best >= threshold);
        self.most = kept.iter().copied().fold(0.0, f64::max);
        if kept.len() > most {
            let (_, last, _) = kept.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
            threshold = *last;
        }
        self.threshold = threshold;
        self.clear();
        for point in list {
            let state = &points.states[*point as usize];
            if state.best >= threshold {
                memory::push(&mut self.points, *point);
                memory::push(&mut self.centers, state.center);
                memory::push(&mut self.best, state.best);
            }
        }
        self.lanes.lay(&self.points, points, threshold, centers, simd);
    }

    fn clear(&mut self) {
        self.points.clear();
        self.centers.clear();
        self.best.clear();
        self.gone = 0;
    }

    /// The farthest point of all and its squared distance, the lowest row among equals; none when the hot points
    /// have run out.
    pub fn farthest(&mut self, simd: Simd) -> Option<(usize, f64)> {
        self.most = highest(simd, &self.best);
        if self.gone == self.best.len() || self.most < self.threshold {
            return None;
        }
        let equals = self.best.iter().zip(&self.points);
        let equals = equals.filter(|(best, _)| **best == self.most);
        equals
            .map(|(_, point)| *point)
            .min()
            .map(|point| (point as usize, self.most))
    }

    /// Writes what is known of the hot points back, and forgets them.
    pub fn leave(&mut self, points: &mut Points<'_>, seen: usize) {
        for place in 0..self.points.len() {
            if self.best[place] != NO_LONGER {
                self.drop_place(place, points, seen);
            }
        }
        self.clear();
    }

    fn drop_place(&mut self, place: usize, points: &mut Points<'_>, seen: usize) {
        let state = State {
            best: self.best[place],
            center: self.centers[place],
            seen: seen as u32,
        };
        points.states[self.points[place] as usize] = state;
        self.best[place] = NO_LONGER;
        self.gone += 1;
    }

    /// Closes the gaps where they have become many.
    fn close(&mut self, points: &Points<'_>, centers: &Centers, simd: Simd) {
        if self.gone <= GONE.max(self.best.len() / 2) {
            return;
        }
        let mut left = 0;
        for place in 0..self.best.len() {
            if self.best[place] != NO_LONGER {
                self.points[left] = self.points[place];
                self.centers[left] = self.centers[place];
                self.best[left] = self.best[place];
                left += 1;
            }
        }
        self.points.truncate(left);
        self.centers.truncate(left);
        self.best.truncate(left);
        self.gone = 0;
        self.lanes.lay(&self.points, points, self.threshold, centers, simd);
    }

    /// Compares the hot points with the newest center.
    pub fn update(&mut self, points: &mut Points<'_>, centers: &Centers, simd: Simd, team: &Team<'_>) -> Result<()> {
        let newest = centers.len() - 1;
        let (sketch, slack) = (centers.sketch(newest), centers.slack()[newest]);
        self.places.clear();
        self.lanes
            .near_newest(centers, self.most, simd, &mut self.squared, &mut self.places);
        let mut doubts: Vec<Doubt> = Vec::new();
        for place in &self.places {
            let i = *place as usize;
            // Lanes without a point are within an infinite limit.
            let Some(best) = self.best.get(i).copied().filter(|best| *best != NO_LONGER) else {
                continue;
            };
            let point = self.points[i] as usize;
            let reach = reach(best, points.slack[point] + slack);
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
        for doubt in doubts {
            let i = doubt.place as usize;
            if doubt.squared < self.best[i] {
                self.best[i] = doubt.squared;
                self.centers[i] = newest as u32;
                if doubt.squared < self.threshold {
                    self.drop_place(i, points, newest + 1);
                }
            }
        }
        self.close(points, centers, simd);
        Ok(())
    }
}

impl Lanes {
    /// Lays out the sketches of points that are at least the root of `threshold` from their centers.
    fn lay(&mut self, hot: &[u32], points: &Points<'_>, threshold: f64, centers: &Centers, simd: Simd) {
        let slack = |point: &u32| points.slack[*point as usize];
        let fine = !centers.are_sketches() && centers.fine_within(root_above(threshold));
        self.bytes = fine.then(|| {
            let mut blocks = ByteBlocks::new(centers.width());
            for point in hot {
                let bytes = centers.bytes(simd, points.sketch(*point as usize));
                blocks.push(&bytes, slack(point) * centers.scale());
            }
            blocks
        });
        self.sketches.clear();
        if !fine {
            self.most_slack = hot.iter().map(slack).fold(0.0, f32::max);
            let sketches = hot.iter().map(|point| points.sketch(*point as usize));
            lay(sketches, centers.width(), &mut self.sketches);
        }
    }

    /// Adds to `found` the lanes of points that may be within the root of `most` of the newest center, and maybe others.
    fn near_newest(&self, centers: &Centers, most: f64, simd: Simd, squared: &mut Vec<f32>, found: &mut Vec<u32>) {
        let newest = centers.len() - 1;
        let slack = centers.slack()[newest];
        let limit = if let Some(blocks) = &self.bytes {
            let (view, bytes) = (blocks.from(0), centers.bytes_of(newest));
            view.compare_one(simd, bytes, squared);
            decisive(reach(most, slack) * centers.scale() + bytes.error + view.slack)
        } else {
            let limit = decisive(reach(most, self.most_slack + slack));
            memory::resize(squared, self.sketches.len() / centers.width(), 0.0);
            blocks(simd, centers.sketch(newest), &self.sketches, limit, squared);
            limit
        };
        lanes_up_to(simd, squared, limit, found);
    }
}

#[inline(always)]
fn highest_body<I: Isa>(_isa: I, values: &[f64]) -> f64 {
    let (blocks, rest) = values.as_chunks::<16>();
    let mut most = [0.0f64; 16];
    for block in blocks {
        for (most, value) in most.iter_mut().zip(block) {
            *most = if value > most { *value } else { *most };
        }
    }
    let most = most.into_iter().fold(0.0, f64::max);
    rest.iter().copied().fold(most, f64::max)
}

multiversion! {
    /// The highest of some values that are not NaN, and 0.
    pub fn highest(values: &[f64]) -> f64 = highest_body
}
