//! Exact farthest-first selection that looks at few points and few of their distances.
//!
//! Every point keeps the distance to some center near it: an upper bound. Points at or above a threshold are hot, know
//! their nearest center and see every pick at once; while one of them is left, no other point can be the farthest.
//! When they run out the threshold is lowered, and just the points it then uncovers look for a nearer center among
//! those they missed. For all but one or two in a hundred there is one below the threshold; only the others must know
//! their nearest.

use super::hot::Hot;
use super::points::Points;
use super::request::{Assignment, Coreset, Request};
use super::shard::Core;

use crate::search::{Few, search};
use crate::threads::Team;
use crate::{Context, Matrix, Result, Simd, memory};

struct Run<'a> {
    core: Core<'a>,
    hot: Hot,
    wanted: usize,
    assign: Option<usize>,
    assignment: Option<Assignment>,
    simd: Simd,
    team: &'a Team<'a>,
    context: &'a Context<'a>,
}

/// Hot points wanted, where a sixteenth of all is fewer.
const HOT: usize = 4096;

/// See [`super::greedy`].
pub fn lazy(matrix: &Matrix<'_>, request: &Request<'_>, context: &Context<'_>) -> Result<Coreset> {
    lazy_with(matrix, request, HOT, context)
}

/// The same with other `hot` points wanted (more when they are equally far): few take a small matrix through all that a large
/// one goes through.
pub fn lazy_with(matrix: &Matrix<'_>, request: &Request<'_>, hot: usize, context: &Context<'_>) -> Result<Coreset> {
    request.validate(matrix)?;
    memory::guarded(|| Team::with(context, |team| select(matrix, request, hot, team, context)))
}

fn select(
    matrix: &Matrix<'_>,
    request: &Request<'_>,
    hot: usize,
    team: &Team<'_>,
    context: &Context<'_>,
) -> Result<Coreset> {
    let (simd, mut buffer) = (context.simd, Vec::new());
    let first = match &request.initial {
        Some(initial) => {
            initial.check_finite(team)?;
            initial.row(0, &mut buffer)
        }
        None => matrix.row(request.start, &mut buffer),
    };
    let points = Points::read(matrix, first, simd, team)?;
    let mut run = Run {
        core: Core::new(points),
        hot: Hot::default(),
        wanted: hot,
        assign: request.assign,
        assignment: None,
        simd,
        team,
        context,
    };
    let mut picks: Vec<(f64, usize)> = memory::with_room(request.size);
    if let Some(initial) = &request.initial {
        run.start_from(initial)?;
    } else {
        picks.push((f64::INFINITY, request.start));
        run.pick(request.start)?;
    }
    while picks.len() < request.size {
        context.control.check()?;
        let Some((point, best)) = run.farthest()? else { break };
        picks.push((best, point));
        // After the last pick nothing is looked for, unless rows are to be assigned to it too.
        if picks.len() < request.size || request.assign == Some(run.core.centers.len() + 1) {
            run.pick(point)?;
        }
        context.control.report(picks.len());
    }
    run.finish_assignment()?;
    let mut picked = memory::filled(false, matrix.rows());
    for (_, point) in &picks {
        picked[*point] = true;
    }
    // Every point left is at distance 0 from a center.
    let left = (0..matrix.rows())
        .filter(|point| !picked[*point])
        .map(|point| (0.0, point));
    let missing = request.size - picks.len();
    picks.extend(left.take(missing));
    context.control.report(picks.len());
    Ok(Coreset::new(&picks, run.assignment))
}

impl Run<'_> {
    /// Takes centers from elsewhere; the points have seen the first.
    fn start_from(&mut self, initial: &Matrix<'_>) -> Result<()> {
        let (mut buffer, mut sketch, mut slack) = (Vec::new(), memory::zeros(self.core.points.map.width()), [0.0]);
        for row in 0..initial.rows() {
            let row = initial.row(row, &mut buffer);
            self.core.points.map.apply(self.simd, row, &mut sketch, &mut slack);
            self.core.centers.push(self.simd, row, &sketch, slack[0]);
            if self.assign == Some(self.core.centers.len()) {
                self.finish_assignment()?;
            }
        }
        Ok(())
    }

    /// Makes a point the next center; the very first one has been seen by all points.
    fn pick(&mut self, point: usize) -> Result<()> {
        self.core.points.add_to(self.simd, point, &mut self.core.centers);
        let newest = self.core.centers.len() - 1;
        self.hot
            .update(&mut self.core.points, &self.core.centers, self.simd, self.team)?;
        if self.assign == Some(newest + 1) {
            self.finish_assignment()?;
        }
        Ok(())
    }

    /// The farthest point and its squared distance; none when all are at distance 0.
    fn farthest(&mut self) -> Result<Option<(usize, f64)>> {
        loop {
            if let Some(found) = self.hot.farthest(self.simd) {
                return Ok(Some(found));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// Lowers the threshold; false when every distance is 0.
    fn refill(&mut self) -> Result<bool> {
        self.hot.leave(&mut self.core.points, self.core.centers.len());
        let count = self.core.points.states.len();
        let wanted = (count / 16).max(self.wanted);
        let mut sample = self.core.sample();
        let place = (sample.len() * wanted / count).min(sample.len() - 1);
        let (_, threshold, _) = sample.select_nth_unstable_by(place, |a, b| b.total_cmp(a));
        let threshold = threshold.max(f64::MIN_POSITIVE);
        let Some(list) = self.core.lower(threshold, self.simd, self.team)? else {
            return Ok(false);
        };
        let Core { points, centers, .. } = &self.core;
        self.hot.fill(points, &list, threshold, wanted, centers, self.simd);
        Ok(true)
    }

    /// Finds the nearest center of every point, once the centers to assign to are there.
    fn finish_assignment(&mut self) -> Result<()> {
        if self.assign.is_none() || self.assignment.is_some() {
            return Ok(());
        }
        let (count, cols) = (self.core.centers.len(), self.core.points.matrix.cols());
        let assignment = if self.core.centers.are_sketches() {
            self.hot.leave(&mut self.core.points, count);
            let all: Vec<u32> = memory::collected(0..self.core.points.states.len() as u32);
            self.core.catch_up(&all, 0.0, self.simd, self.team)?;
            let states = self.core.points.states.iter();
            Assignment::new(states.map(|state| (i64::from(state.center), state.best.sqrt() as f32)))
        } else {
            let centers = Matrix::from_f32("centers", self.core.centers.rows(), count, cols)?;
            let found = search(
                self.core.points.matrix,
                &centers,
                None,
                Few::MEASURED,
                self.team,
                self.context,
            )?;
            let found = found.into_iter();
            Assignment::new(found.map(|(squared, center)| (center, squared.sqrt() as f32)))
        };
        self.assignment = Some(assignment);
        Ok(())
    }
}
