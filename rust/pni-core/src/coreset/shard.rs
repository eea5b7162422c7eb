//! Points that lie together, and all centers: what one machine holds of a selection.
//!
//! A shard brings its hot points to a selector, which picks among those of all shards ([`pick_hot`]); the picks come back by
//! `take`. On one machine [`super::lazy`] is both, with one shard and without a copy.

use super::catch_up::catch_up;
use super::centers::Centers;
use super::hot::Hot;
use super::points::{Known, Points};
use super::settle::settle;
use crate::sample::sample;
use crate::threads::Team;
use crate::{Context, Error, Matrix, Result, Simd, memory};

/// Points that are asked how far they are, at most, when a threshold is chosen.
const SAMPLE: usize = 4096;

/// Points and centers at work.
pub struct Core<'a> {
    pub points: Points<'a>,
    pub centers: Centers,
}

impl<'a> Core<'a> {
    /// No centers yet.
    pub fn new(points: Points<'a>) -> Self {
        let width = points.map.width();
        Self {
            centers: Centers::new(points.matrix.cols(), width, points.largest()),
            points,
        }
    }

    /// What is known of some points, evenly spread: at least their squared distances.
    pub fn sample(&self) -> Vec<f64> {
        let states = &self.points.states;
        sample(states.len(), SAMPLE).map(|point| states[point].best).collect()
    }

    /// Finds the points that are at least the root of `threshold` from all centers: they are among those returned, whose nearest
    /// is known. None where no point can be as far.
    pub fn lower(&mut self, threshold: f64, simd: Simd, team: &Team<'_>) -> Result<Option<Vec<u32>>> {
        let mut list = self.at_least(threshold, team)?;
        if list.is_empty() {
            return Ok(None);
        }
        self.catch_up(&list, threshold, simd, team)?;
        if !self.centers.are_sketches() {
            list.retain(|point| self.points.states[*point as usize].best >= threshold);
            settle(&mut self.points, &list, threshold, &self.centers, simd, team)?;
        }
        Ok(Some(list))
    }

    /// Brings points up to date with all centers; see [`catch_up`].
    pub fn catch_up(&mut self, list: &[u32], enough: f64, simd: Simd, team: &Team<'_>) -> Result<()> {
        catch_up(&mut self.points, list, enough, &self.centers, simd, team)
    }

    /// The points whose distance may reach the threshold (squared).
    fn at_least(&self, threshold: f64, team: &Team<'_>) -> Result<Vec<u32>> {
        const PART: usize = 1 << 15;
        let states = &self.points.states;
        let mut parts = memory::filled(Vec::new(), states.len().div_ceil(PART));
        team.each_chunk(&mut parts, 1, |part, found| {
            let first = part * PART;
            let states = &states[first..(first + PART).min(states.len())];
            let far = states.iter().enumerate().filter(|(_, state)| state.best >= threshold);
            far.for_each(|(i, _)| memory::push(&mut found[0], (first + i) as u32));
        })?;
        let mut all = memory::with_room(parts.iter().map(Vec::len).sum());
        for part in &parts {
            all.extend_from_slice(part);
        }
        Ok(all)
    }
}

/// The same without threads that would have nothing to do.
fn alone<'a>(context: &Context<'a>) -> Context<'a> {
    Context { threads: 1, ..*context }
}

/// What a shard keeps between calls.
struct Kept {
    known: Known,
    centers: Centers,
}

/// One of several parts of the points of a selection. Its rows stay with the caller, who hands over the same ones each time.
pub struct Shard {
    rows: usize,
    cols: usize,
    /// Lost where a call ends early.
    kept: Option<Kept>,
}

/// Points of a shard that may be picked.
#[derive(Debug, Clone, PartialEq)]
pub struct HotRows {
    /// Rows of the shard, ascending.
    pub rows: Vec<u32>,
    /// Their squared distances to the nearest center.
    pub squared: Vec<f64>,
    /// No other point of the shard is as far (squared).
    pub floor: f64,
}

impl Shard {
    /// Reads all rows of `matrix`; `first` is the first center.
    pub fn read(matrix: &Matrix<'_>, first: &[f32], context: &Context<'_>) -> Result<Self> {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        Matrix::from_f32("first", first, 1, first.len())?.check_width(matrix)?;
        memory::guarded(|| {
            Team::with(context, |team| {
                let points = Points::read(matrix, first, context.simd, team)?;
                let mut core = Core::new(points);
                core.push(first, context.simd);
                let kept = Some(core.keep());
                Ok(Self { rows, cols, kept })
            })
        })
    }

    /// Takes picks of the selection, in their order. A shard that is read anew takes all so far but the first.
    pub fn take(&mut self, matrix: &Matrix<'_>, picks: &Matrix<'_>, context: &Context<'_>) -> Result<()> {
        picks.check_width(matrix)?;
        self.with(matrix, &alone(context), |core, _| {
            let mut buffer = Vec::new();
            for row in 0..picks.rows() {
                core.push(picks.row(row, &mut buffer), context.simd);
            }
            Ok(())
        })
    }

    /// At least the squared distances of some points, evenly spread.
    pub fn sample(&mut self, matrix: &Matrix<'_>, context: &Context<'_>) -> Result<Vec<f64>> {
        self.with(matrix, &alone(context), |core, _| Ok(core.sample()))
    }

    /// The points at least the root of `threshold` from all centers; of more than `most` the farthest, and their equals.
    pub fn hot(&mut self, matrix: &Matrix<'_>, threshold: f64, most: usize, context: &Context<'_>) -> Result<HotRows> {
        self.with(matrix, context, |core, team| {
            let list = core.lower(threshold, context.simd, team)?.unwrap_or_default();
            let best = |point: &u32| core.points.states[*point as usize].best;
            let (mut floor, most) = (threshold, most.max(1));
            let mut kept = memory::collected(list.iter().map(best));
            kept.retain(|best| *best >= threshold);
            if kept.len() > most {
                let (_, last, _) = kept.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
                floor = *last;
            }
            let rows: Vec<u32> = list.iter().copied().filter(|point| best(point) >= floor).collect();
            Ok(HotRows {
                squared: rows.iter().map(best).collect(),
                rows,
                floor,
            })
        })
    }

    /// Works with what is kept.
    fn with<T>(
        &mut self,
        matrix: &Matrix<'_>,
        context: &Context<'_>,
        work: impl FnOnce(&mut Core<'_>, &Team<'_>) -> Result<T>,
    ) -> Result<T> {
        if (matrix.rows(), matrix.cols()) != (self.rows, self.cols) {
            let allowed = format!("the rows that were read ({}×{})", self.rows, self.cols);
            let found = format!("{}×{}", matrix.rows(), matrix.cols());
            return Err(Error::invalid(matrix.what(), allowed, found));
        }
        let Some(kept) = self.kept.take() else {
            return Err(Error::invalid(
                "shard",
                "one whose calls have ended well",
                "an interrupted one",
            ));
        };
        let kept = memory::guarded(|| {
            Team::with(context, |team| {
                let mut core = Core {
                    points: Points::of(matrix, kept.known),
                    centers: kept.centers,
                };
                let found = work(&mut core, team)?;
                Ok((core.keep(), found))
            })
        });
        let (kept, found) = kept?;
        self.kept = Some(kept);
        Ok(found)
    }
}

impl Core<'_> {
    /// Adds a center.
    fn push(&mut self, row: &[f32], simd: Simd) {
        let (mut sketch, mut slack) = (memory::zeros(self.points.map.width()), [0.0]);
        self.points.map.apply(simd, row, &mut sketch, &mut slack);
        self.centers.push(simd, row, &sketch, slack[0]);
    }

    fn keep(self) -> Kept {
        Kept {
            known: self.points.known(),
            centers: self.centers,
        }
    }
}

/// Picks among hot rows, those of all shards at or above `threshold` (squared), up to `size`, as long as one is as far: each the
/// farthest from all centers and the picks before it, the lowest row among equals. `squared` are the distances to the centers.
/// Returns rows and squared distances.
pub fn pick_hot(
    rows: &Matrix<'_>,
    squared: &[f64],
    threshold: f64,
    size: usize,
    context: &Context<'_>,
) -> Result<Vec<(usize, f64)>> {
    if squared.len() != rows.rows() {
        let allowed = format!("a distance for each of {} rows", rows.rows());
        return Err(Error::invalid("squared", allowed, squared.len()));
    }
    let (simd, mut buffer) = (context.simd, Vec::new());
    memory::guarded(|| {
        Team::with(context, |team| {
            let mut points = Points::read(rows, rows.row(0, &mut buffer), simd, team)?;
            for (state, squared) in points.states.iter_mut().zip(squared) {
                state.best = *squared;
            }
            let mut centers = Centers::new(rows.cols(), points.map.width(), points.largest());
            let mut hot = Hot::default();
            let all = memory::collected(0..squared.len() as u32);
            hot.fill(&points, &all, threshold, usize::MAX, &centers, simd);
            let mut picks = Vec::new();
            while picks.len() < size {
                context.control.check()?;
                let Some((point, best)) = hot.farthest(simd) else {
                    break;
                };
                memory::push(&mut picks, (point, best));
                points.add_to(simd, point, &mut centers);
                hot.update(&mut points, &centers, simd, team)?;
                context.control.report(picks.len());
            }
            Ok(picks)
        })
    })
}
