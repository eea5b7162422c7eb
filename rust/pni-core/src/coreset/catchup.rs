//! Bringing points up to date with the centres they have not seen.

use super::bounds::RELATIVE;
use super::centers::Centers;
use super::points::{Points, State, root_above};
use super::screen::{Cell, Probe};
use crate::distance::squared_within;
use crate::threads::Team;
use crate::{Result, Simd};

/// Points at once: bounds the extra memory.
const BATCH: usize = 1 << 17;

/// Points a thread takes at a time.
const PART: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    state: State,
    point: u32,
}

/// Compares `list` (points) with every centre they have not seen.
pub fn catch_up(points: &mut Points<'_>, list: &[u32], centers: &Centers, simd: Simd, team: &Team<'_>) -> Result<()> {
    for list in list.chunks(BATCH) {
        let mut entries = by_cell(points, list, centers.len());
        let shared: &Points<'_> = points;
        team.each_chunk(&mut entries, PART, |_, entries| {
            let (mut apart, mut cell, mut buffer) = (Vec::new(), Cell::default(), Vec::new());
            for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
                let seen = members.iter().map(|entry| entry.state.seen).min().unwrap_or(0);
                let most = members.iter().map(|entry| entry.state.best).fold(0.0, f64::max);
                let horizon = 2.0 * root_above(most) * (1.0 + RELATIVE);
                let center = members[0].state.center as usize;
                centers.candidates(simd, center, seen as usize, horizon, &mut apart, &mut cell.candidates);
                cell.pack(centers);
                for entry in members {
                    update(entry, &cell, shared, centers, simd, &mut buffer);
                    entry.state.seen = centers.len() as u32;
                }
            }
        })?;
        for entry in entries {
            points.states[entry.point as usize] = entry.state;
        }
    }
    Ok(())
}

/// The points of `list` that have not seen all `centers`, ordered by their nearest centre.
fn by_cell(points: &Points<'_>, list: &[u32], centers: usize) -> Vec<Entry> {
    let mut starts = vec![0usize; centers + 1];
    let behind = |point: u32| {
        let state = points.states[point as usize];
        ((state.seen as usize) < centers).then_some(Entry { state, point })
    };
    for entry in list.iter().filter_map(|point| behind(*point)) {
        starts[entry.state.center as usize + 1] += 1;
    }
    for i in 0..centers {
        starts[i + 1] += starts[i];
    }
    let empty = Entry {
        state: State {
            best: 0.0,
            center: 0,
            seen: 0,
        },
        point: 0,
    };
    let mut entries = vec![empty; starts[centers]];
    for entry in list.iter().filter_map(|point| behind(*point)) {
        let place = &mut starts[entry.state.center as usize];
        entries[*place] = entry;
        *place += 1;
    }
    entries
}

/// Compares one point with the candidates of its cell.
fn update(entry: &mut Entry, cell: &Cell, points: &Points<'_>, centers: &Centers, simd: Simd, buffer: &mut Vec<f32>) {
    let point = entry.point as usize;
    let state = &mut entry.state;
    let slack = points.slack[point];
    // The bounds start from the cell's own centre, at this distance whatever becomes nearest later.
    let home = root_above(state.best);
    let mut probe = Probe {
        sketch: points.sketch(point),
        reach: 0.0,
        horizon: 0.0,
        seen: state.seen,
        center: state.center,
    };
    let narrow = |probe: &mut Probe<'_>, state: &State| {
        let root = root_above(state.best);
        probe.reach = (root + slack) * (1.0 + RELATIVE);
        probe.horizon = (home + root) * (1.0 + RELATIVE);
        probe.center = state.center;
    };
    narrow(&mut probe, state);
    // The likeliest candidate first: what it leaves of the distance rules out most others.
    let mut place = cell.aim(simd, &probe);
    if place == cell.candidates.len() {
        return;
    }
    // The row itself is read only where the sketch leaves a doubt.
    let row = points.matrix.row(point, buffer);
    let mut from = 0;
    while let Some(candidate) = cell.candidates.get(place) {
        let index = candidate.index;
        let distance = squared_within(simd, row, centers.row(index as usize), state.best);
        if distance < state.best || (distance == state.best && index < state.center) {
            (state.best, state.center) = (distance, index);
            narrow(&mut probe, state);
        }
        place = cell.screen(simd, &probe, from, centers);
        from = place + 1;
    }
}
