//! Bringing points up to date with the centres they have not seen.

use super::bounds::RELATIVE;
use super::cell::{Cell, GROUP};
use super::centers::Centers;
use super::points::{Points, State, root_above};
use super::screen::Probe;
use crate::distance::squared_within;
use crate::simd::prefetch;
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
            let mut scratch = Scratch::default();
            for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
                catch_up_cell(members, shared, centers, simd, &mut scratch);
            }
        })?;
        for entry in entries {
            points.states[entry.point as usize] = entry.state;
        }
    }
    Ok(())
}

/// The points of `list` that have not seen all `centers`, ordered by their nearest centre, then by what they have
/// seen: neighbours in this order share candidates.
fn by_cell(points: &Points<'_>, list: &[u32], centers: usize) -> Vec<Entry> {
    let entries: Vec<Entry> = list
        .iter()
        .map(|point| Entry {
            state: points.states[*point as usize],
            point: *point,
        })
        .filter(|entry| (entry.state.seen as usize) < centers)
        .collect();
    let entries = counting_sort(&entries, centers, |entry| entry.state.seen as usize);
    counting_sort(&entries, centers, |entry| entry.state.center as usize)
}

/// Entries in ascending order of a key below `keys`, equal ones in the order they came.
fn counting_sort(entries: &[Entry], keys: usize, key: impl Fn(&Entry) -> usize) -> Vec<Entry> {
    let mut places = vec![0usize; keys + 1];
    for entry in entries {
        places[key(entry) + 1] += 1;
    }
    for i in 0..keys {
        places[i + 1] += places[i];
    }
    let mut sorted = entries.to_vec();
    for entry in entries {
        let place = &mut places[key(entry)];
        sorted[*place] = *entry;
        *place += 1;
    }
    sorted
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    cell: Cell,
    apart: Vec<f32>,
    lead: Vec<f32>,
    row: Vec<f32>,
}

/// Compares points with the same nearest centre.
fn catch_up_cell(members: &mut [Entry], points: &Points<'_>, centers: &Centers, simd: Simd, scratch: &mut Scratch) {
    let Scratch { cell, apart, lead, row } = scratch;
    let seen = members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize;
    let horizon = horizon_of(members);
    let center = members[0].state.center as usize;
    centers.candidates(simd, center, seen, horizon, apart, &mut cell.candidates);
    if !cell.candidates.is_empty() {
        cell.pack(seen, horizon, centers);
        for group in members.chunks_mut(GROUP) {
            let sketch = |i: usize| points.sketch(group[i.min(group.len() - 1)].point as usize);
            let sketches = [sketch(0), sketch(1), sketch(2), sketch(3)];
            let stride = cell.lead(simd, sketches, horizon_of(group), centers, lead);
            if stride == 0 {
                continue;
            }
            let mut aims = [None; GROUP];
            for ((entry, lead), aim) in group.iter().zip(lead.chunks_exact_mut(stride)).zip(&mut aims) {
                let mut probe = Probe::default();
                narrow(&mut probe, entry, root_above(entry.state.best), points);
                let place = cell.nearest(simd, &probe, lead, centers);
                // The rows arrive while the other points are looked at; where no doubt is left none is read.
                if let Some(candidate) = cell.candidates.get(place) {
                    points.prefetch(entry.point as usize);
                    prefetch(centers.row(candidate.index as usize));
                    *aim = Some(place);
                }
            }
            for ((entry, lead), aim) in group.iter_mut().zip(lead.chunks_exact_mut(stride)).zip(aims) {
                if let Some(place) = aim {
                    update(entry, cell, place, lead, points, centers, simd, row);
                }
            }
        }
    }
    for entry in members {
        entry.state.seen = centers.len() as u32;
    }
}

/// No centre farther than this from theirs can be nearer to one of these points.
fn horizon_of(members: &[Entry]) -> f32 {
    let most = members.iter().map(|entry| entry.state.best).fold(0.0, f64::max);
    2.0 * root_above(most) * (1.0 + 2.0 * RELATIVE)
}

/// Sets a probe to what is known of a point, `home` being its distance to the centre of its cell.
fn narrow<'a>(probe: &mut Probe<'a>, entry: &Entry, home: f32, points: &'a Points<'_>) {
    let point = entry.point as usize;
    let root = root_above(entry.state.best);
    *probe = Probe {
        sketch: points.sketch(point),
        reach: (root + points.slack[point]) * (1.0 + RELATIVE),
        horizon: (home + root) * (1.0 + RELATIVE),
        seen: entry.state.seen,
        center: entry.state.center,
    };
}

/// Compares one point with the candidates of its cell, that at `place` first: it looks nearest, and what it leaves
/// of the distance rules out most others.
#[allow(clippy::too_many_arguments)]
fn update(
    entry: &mut Entry,
    cell: &Cell,
    mut place: usize,
    lead: &mut [f32],
    points: &Points<'_>,
    centers: &Centers,
    simd: Simd,
    buffer: &mut Vec<f32>,
) {
    // The bounds start from the cell's own centre, at this distance whatever becomes nearest later.
    let home = root_above(entry.state.best);
    let mut probe = Probe::default();
    narrow(&mut probe, entry, home, points);
    let row = points.row(entry.point as usize, buffer);
    let mut from = 0;
    while let Some(candidate) = cell.candidates.get(place) {
        let index = candidate.index;
        let State { best, center, .. } = entry.state;
        let distance = squared_within(simd, row, centers.row(index as usize), best);
        if distance < best || (distance == best && index < center) {
            (entry.state.best, entry.state.center) = (distance, index);
            narrow(&mut probe, entry, home, points);
        }
        place = cell.doubtful(simd, &probe, from, lead, centers);
        from = place + 1;
    }
}
