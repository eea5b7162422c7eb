//! Every pick is compared with every row, in one fused pass of distance, minimum and argmax.
//!
//! Bound by memory traffic (all rows are read once per pick); kept as the peer that `greedy` is measured against.

use super::request::{Assignment, Coreset, Request};
use crate::distance::closest;
use crate::threads::Team;
use crate::{Context, Matrix, Result, memory};
use std::sync::{Mutex, PoisonError};

/// A row's nearest center so far.
#[derive(Clone, Copy)]
struct Nearest {
    squared: f64,
    center: u32,
    picked: bool,
}

/// The same as [`super::greedy`], by a plain multithreaded scan.
pub fn full_scan(points: &Matrix<'_>, request: &Request<'_>, context: &Context<'_>) -> Result<Coreset> {
    request.validate(points)?;
    memory::guarded(|| Team::with(context, |team| scan(points, request, team, context)))
}

fn scan(points: &Matrix<'_>, request: &Request<'_>, team: &Team<'_>, context: &Context<'_>) -> Result<Coreset> {
    points.check_finite(team)?;
    let start = Nearest {
        squared: f64::INFINITY,
        center: 0,
        picked: false,
    };
    let mut states = memory::filled(start, points.rows());
    let mut centers = 0;
    let mut farthest = (f64::INFINITY, request.start);
    let mut assignment = None;
    let mut keep = |centers: usize, states: &[Nearest]| {
        if request.assign == Some(centers) {
            assignment = Some(Assignment {
                labels: memory::collected(states.iter().map(|state| i64::from(state.center))),
                distances: memory::collected(states.iter().map(|state| state.squared.sqrt() as f32)),
            });
        }
    };
    if let Some(initial) = &request.initial {
        initial.check_finite(team)?;
        let mut buffer = Vec::new();
        for row in 0..initial.rows() {
            farthest = compare(
                points,
                initial.row(row, &mut buffer),
                centers,
                &mut states,
                team,
                context,
            )?;
            centers += 1;
            keep(centers, &states);
        }
    }
    let mut picks = memory::with_room(request.size);
    let mut buffer = Vec::new();
    while picks.len() < request.size {
        picks.push(farthest);
        states[farthest.1].picked = true;
        context.control.report(picks.len());
        // After the last pick there is nothing to look for, unless rows are to be assigned to it too.
        if picks.len() < request.size || request.assign == Some(centers + 1) {
            farthest = compare(
                points,
                points.row(farthest.1, &mut buffer),
                centers,
                &mut states,
                team,
                context,
            )?;
        }
        centers += 1;
        keep(centers, &states);
    }
    Ok(Coreset::new(&picks, assignment))
}

/// Compares one center with every row; returns the row now farthest that is not picked, the lowest among equals.
fn compare(
    points: &Matrix<'_>,
    center: &[f32],
    index: usize,
    states: &mut [Nearest],
    team: &Team<'_>,
    context: &Context<'_>,
) -> Result<(f64, usize)> {
    let farthest = Mutex::new((-1.0, usize::MAX));
    let step = points.rows_per_chunk();
    team.each_chunk(states, step, |chunk, states| {
        let first = chunk * step;
        let mut buffer = Vec::new();
        let rows = points.load(first..first + states.len(), &mut buffer);
        let mut own = (-1.0, usize::MAX);
        for (i, (row, state)) in rows.chunks_exact(points.cols()).zip(states).enumerate() {
            let mut best = (state.squared, state.center as usize);
            closest(context.simd, row, center, index, &mut best);
            (state.squared, state.center) = (best.0, best.1 as u32);
            if !state.picked && state.squared > own.0 {
                own = (state.squared, first + i);
            }
        }
        let mut farthest = farthest.lock().unwrap_or_else(PoisonError::into_inner);
        if own.0 > farthest.0 || (own.0 == farthest.0 && own.1 < farthest.1) {
            *farthest = own;
        }
    })?;
    Ok(farthest.into_inner().unwrap_or_else(PoisonError::into_inner))
}
