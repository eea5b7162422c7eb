//! Bringing points up to date with the centres they have not seen.

use super::bounds::{RELATIVE, within};
use super::bytes::{GROUP, View};
use super::cell::Cell;
use super::centers::Centers;
use super::points::{Points, State, root_above};
use super::screen::{Candidates, Probe};
use crate::distance::squared_within;
use crate::simd::prefetch;
use crate::threads::Team;
use crate::{Result, Simd};
use std::mem::swap;
use std::ops::Range;
use std::slice::Chunks;

/// Points at once: bounds the extra memory.
const BATCH: usize = 1 << 17;

/// Points a thread takes at a time.
const PART: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    state: State,
    point: u32,
    slack: f32,
}

/// Compares `list` (points) with every centre they have not seen.
pub fn catch_up(points: &mut Points<'_>, list: &[u32], centers: &Centers, simd: Simd, team: &Team<'_>) -> Result<()> {
    for list in list.chunks(BATCH) {
        let mut entries = by_cell(points, list, centers.len(), team)?;
        let shared: &Points<'_> = points;
        team.each_chunk(&mut entries, PART, |_, entries| {
            let mut scratch = Scratch::default();
            for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
                members.sort_unstable_by_key(|entry| (entry.state.seen, entry.point));
            }
            let order: Vec<u32> = entries.iter().map(|entry| entry.point).collect();
            let mut ahead = Ahead(order.chunks(GROUP));
            ahead.fetch(shared);
            ahead.fetch(shared);
            for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
                catch_up_cell(members, shared, centers, simd, &mut ahead, &mut scratch);
            }
        })?;
        for entry in entries {
            points.states[entry.point as usize] = entry.state;
        }
    }
    Ok(())
}

/// The points of `list` that have not seen all `centers`, ordered by their nearest centre: neighbours in this order
/// share candidates.
fn by_cell(points: &Points<'_>, list: &[u32], centers: usize, team: &Team<'_>) -> Result<Vec<Entry>> {
    const STEP: usize = 1 << 12;
    let nothing = State {
        best: 0.0,
        center: 0,
        seen: 0,
    };
    let mut entries = vec![
        Entry {
            state: nothing,
            point: 0,
            slack: 0.0
        };
        list.len()
    ];
    team.each_chunk(&mut entries, STEP, |part, entries| {
        for (entry, point) in entries.iter_mut().zip(&list[part * STEP..]) {
            *entry = Entry {
                state: points.states[*point as usize],
                point: *point,
                slack: points.slack[*point as usize],
            };
        }
    })?;
    entries.retain(|entry| (entry.state.seen as usize) < centers);
    let mut places = vec![0u32; centers + 1];
    for entry in &entries {
        places[entry.state.center as usize + 1] += 1;
    }
    for i in 0..centers {
        places[i + 1] += places[i];
    }
    let mut sorted = entries.clone();
    for entry in &entries {
        let place = &mut places[entry.state.center as usize];
        sorted[*place as usize] = *entry;
        *place += 1;
    }
    Ok(sorted)
}

/// The points whose sketches will be needed, in groups.
struct Ahead<'a>(Chunks<'a, u32>);

impl Ahead<'_> {
    /// Asks for the sketches of one group more.
    fn fetch(&mut self, points: &Points<'_>) {
        for point in self.0.next().into_iter().flatten() {
            prefetch(points.sketch(*point as usize));
        }
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    cell: Cell,
    apart: Vec<f32>,
    groups: [Group; 2],
    row: Vec<f32>,
}

/// Up to four points that are compared together.
#[derive(Default)]
struct Group {
    members: Range<usize>,
    /// The first lane that matters to them.
    first: usize,
    /// Squared distances of the bytes, in units: a run for each point.
    squared: Vec<f32>,
    /// Errors of the points' bytes.
    errors: [f32; GROUP],
    /// The lane each point is measured against first; no lane where nothing is in doubt.
    aims: [usize; GROUP],
}

/// Compares points with the same nearest centre.
fn catch_up_cell(
    members: &mut [Entry],
    points: &Points<'_>,
    centers: &Centers,
    simd: Simd,
    ahead: &mut Ahead<'_>,
    scratch: &mut Scratch,
) {
    let Scratch {
        cell,
        apart,
        groups: [group, last],
        row,
    } = scratch;
    let seen = members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize;
    let horizon = horizon_of(members);
    let center = members[0].state.center as usize;
    centers.candidates(simd, center, seen, horizon, apart, &mut cell.candidates);
    if !cell.candidates.is_empty() {
        cell.lay(simd, center, seen, horizon, members.len(), centers);
        let pass = Pass {
            cell,
            view: cell.view(centers),
            points,
            centers,
            simd,
        };
        // The rows of a group arrive while the next one is aimed.
        last.members = 0..0;
        for start in (0..members.len()).step_by(GROUP) {
            group.members = start..(start + GROUP).min(members.len());
            ahead.fetch(points);
            pass.aim(members, group);
            pass.finish(members, last, row);
            swap(group, last);
        }
        pass.finish(members, last, row);
    }
    for entry in members {
        entry.state.seen = centers.len() as u32;
    }
}

/// Comparing the points of one cell with its candidates.
#[derive(Clone, Copy)]
struct Pass<'a> {
    cell: &'a Cell,
    view: View<'a>,
    points: &'a Points<'a>,
    centers: &'a Centers,
    simd: Simd,
}

impl<'a> Pass<'a> {
    /// Finds the centre each point of a group is to be measured against first, and asks for the rows.
    fn aim(&self, members: &[Entry], group: &mut Group) {
        let entries = &members[group.members.clone()];
        let sketch = |i: usize| self.points.sketch(entries[i.min(entries.len() - 1)].point as usize);
        let bytes = self.cell.bytes(self.simd, [sketch(0), sketch(1), sketch(2), sketch(3)]);
        // Members are in the order of what they have seen.
        group.first = self.cell.first_lane(entries[0].state.seen as usize);
        self.view
            .from(group.first)
            .compare(self.simd, &bytes, &mut group.squared);
        group.errors = [0, 1, 2, 3].map(|i: usize| bytes[i].error);
        for (i, entry) in entries.iter().enumerate() {
            let (candidates, probe) = (self.candidates(group, i), self.probe(entry, group.errors[i]));
            // Nearly always nearer than the point's centre.
            let mut aim = candidates.nearest(self.simd);
            if candidates.accounted_for(&probe, aim) {
                aim = candidates.doubtful(self.simd, &probe, 0);
            }
            if let Some(index) = candidates.center(aim) {
                self.points.prefetch(entry.point as usize);
                prefetch(self.centers.row(index as usize));
            }
            group.aims[i] = aim;
        }
    }

    /// Measures what is in doubt. What the first distance leaves rules out most others.
    fn finish(&self, members: &mut [Entry], group: &Group, buffer: &mut Vec<f32>) {
        for (i, entry) in members[group.members.clone()].iter_mut().enumerate() {
            let (mut lane, mut from) = (group.aims[i], 0);
            let candidates = self.candidates(group, i);
            if candidates.center(lane).is_none() {
                continue;
            }
            let mut probe = self.probe(entry, group.errors[i]);
            let row = self.points.row(entry.point as usize, entry.slack, buffer);
            while let Some(index) = candidates.center(lane) {
                let (State { best, center, .. }, other) = (entry.state, self.centers.row(index as usize));
                // The first is nearly always nearer, the others hardly ever.
                let distance = if from == 0 || within(self.simd, row, other, best) {
                    squared_within(self.simd, row, other, best)
                } else {
                    f64::INFINITY
                };
                if distance < best || (distance == best && index < center) {
                    (entry.state.best, entry.state.center) = (distance, index);
                    probe = self.probe(entry, group.errors[i]);
                }
                lane = candidates.doubtful(self.simd, &probe, from);
                from = lane + 1;
            }
        }
    }

    /// The candidates of a point of a group.
    fn candidates<'b>(&'b self, group: &'b Group, i: usize) -> Candidates<'b> {
        let view = self.view.from(group.first);
        let squared = &group.squared[i * view.lanes()..][..view.lanes()];
        let (indices, centers) = (&self.cell.candidates[group.first..], self.centers);
        Candidates::new(indices, squared, view, centers.sketches(), centers.slack())
    }

    /// What is known of a point, `error` being that of its bytes.
    fn probe(&self, entry: &Entry, error: f32) -> Probe<'a> {
        let reach = (root_above(entry.state.best) + entry.slack) * (1.0 + RELATIVE);
        Probe {
            sketch: self.points.sketch(entry.point as usize),
            reach,
            units: self.cell.units(reach) + error,
            seen: entry.state.seen,
            center: entry.state.center,
        }
    }
}

/// No centre farther than this from theirs can be nearer to one of these points.
fn horizon_of(members: &[Entry]) -> f32 {
    let most = members.iter().map(|entry| entry.state.best).fold(0.0, f64::max);
    2.0 * root_above(most) * (1.0 + 2.0 * RELATIVE)
}
