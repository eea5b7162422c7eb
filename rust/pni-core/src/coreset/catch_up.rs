//! Bringing points up to date with the centers they have not seen.

use super::centers::Centers;
use super::cover::{Buffers, Cell, Entry, Group, Pass, horizon_of};
use super::later::{self, Asked, TOGETHER, most_within};
use super::low_dimensional::catch_up_exactly;
use super::points::{Points, State};
use crate::bounds::bytes::blocks::POINTS;
use crate::bounds::sketch::compare::COVER_SHARE;
use crate::simd::prefetch;
use crate::threads::Team;
use crate::{Result, Simd, memory};
use std::mem::swap;
use std::ops::RangeInclusive;
use std::slice::Chunks;

/// Points at once, or one in so many of all: bounds the extra memory, and leaves a cell's points together.
const BATCH: usize = 1 << 17;
const SHARE: usize = 8;

/// Points a thread takes at a time: enough to share the candidates of their cells, where there are enough for all.
const PARTS: RangeInclusive<usize> = 64..=1024;

/// Finds points of `list` a center nearer than `enough` (squared) among those they have not seen. A distance may come out a
/// little too large, and where no center is found one may still exist. Points that are their own sketches always find
/// the nearest, exactly.
pub fn catch_up(
    points: &mut Points<'_>,
    list: &[u32],
    enough: f64,
    centers: &Centers,
    simd: Simd,
    team: &Team<'_>,
) -> Result<()> {
    let batch = BATCH.max(points.states.len() / SHARE);
    for list in list.chunks(batch) {
        let mut entries = by_cell(points, list, centers.len(), team)?;
        let shared: &Points<'_> = points;
        let part = (entries.len() / (16 * team.threads())).clamp(*PARTS.start(), *PARTS.end());
        team.each_chunk(&mut entries, part, |_, entries| {
            if centers.are_sketches() {
                return catch_up_exactly(entries, shared, centers, simd);
            }
            let mut members = memory::collected(entries.chunk_by_mut(|a, b| a.state.center == b.state.center));
            for members in &mut members {
                members.sort_unstable_by_key(|entry| (entry.state.seen, entry.point));
            }
            let order = memory::collected(
                members
                    .iter()
                    .flat_map(|members| members.iter().map(|entry| entry.point)),
            );
            let mut ahead = Ahead(order.chunks(POINTS));
            ahead.fetch(shared);
            ahead.fetch(shared);
            let (mut cells, mut lookup, mut scratch) = (
                <[Cell; TOGETHER]>::default(),
                later::Scratch::default(),
                Scratch::default(),
            );
            for together in members.chunks_mut(TOGETHER) {
                let last = together.len() - 1;
                let asked: [Asked; TOGETHER] = std::array::from_fn(|i| asked(together[i.min(last)]));
                let candidates = cells.iter_mut().map(|cell| &mut cell.candidates);
                most_within(centers, &asked[..=last], simd, &mut lookup, candidates);
                for ((members, cell), asked) in together.iter_mut().zip(&mut cells).zip(asked) {
                    catch_up_cell(
                        members,
                        cell,
                        asked,
                        enough,
                        shared,
                        centers,
                        simd,
                        &mut ahead,
                        &mut scratch,
                    );
                }
            }
        })?;
        for entry in entries {
            points.states[entry.point as usize] = entry.state;
        }
    }
    Ok(())
}

/// The points of `list` that have not seen all `centers`, ordered by their nearest center: neighbors in this order
/// share candidates.
fn by_cell(points: &Points<'_>, list: &[u32], centers: usize, team: &Team<'_>) -> Result<Vec<Entry>> {
    const PART: usize = 1 << 12;
    let nothing = State {
        best: 0.0,
        center: 0,
        seen: 0,
    };
    let nothing = Entry {
        state: nothing,
        point: 0,
        slack: 0.0,
    };
    let mut entries = memory::filled(nothing, list.len());
    team.each_chunk(&mut entries, PART, |part, entries| {
        for (entry, point) in entries.iter_mut().zip(&list[part * PART..]) {
            *entry = Entry {
                state: points.states[*point as usize],
                point: *point,
                slack: points.slack[*point as usize],
            };
        }
    })?;
    entries.retain(|entry| (entry.state.seen as usize) < centers);
    let mut places: Vec<u32> = memory::zeros(centers + 1);
    for entry in &entries {
        places[entry.state.center as usize + 1] += 1;
    }
    for i in 0..centers {
        places[i + 1] += places[i];
    }
    let mut sorted = memory::collected(entries.iter().copied());
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

/// What is asked for the points of a cell.
fn asked(members: &[Entry]) -> Asked {
    Asked {
        center: members[0].state.center as usize,
        seen: members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize,
        horizon: COVER_SHARE * horizon_of(members),
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    groups: [Group; 2],
    buffers: Buffers,
}

/// Compares points with the same nearest center with the candidates of their cell, which are what was `asked` for.
#[allow(clippy::too_many_arguments)]
fn catch_up_cell(
    members: &mut [Entry],
    cell: &mut Cell,
    asked: Asked,
    enough: f64,
    points: &Points<'_>,
    centers: &Centers,
    simd: Simd,
    ahead: &mut Ahead<'_>,
    scratch: &mut Scratch,
) {
    let Scratch {
        groups: [group, last],
        buffers,
    } = scratch;
    if !cell.candidates.is_empty() {
        cell.lay(
            simd,
            asked.center,
            asked.seen,
            horizon_of(members),
            members.len(),
            centers,
        );
        let pass = Pass {
            cell,
            view: cell.view(centers),
            points,
            centers,
            simd,
        };
        // The rows of a group arrive while the next one is aimed.
        last.members = 0..0;
        let starts = (0..members.len()).step_by(POINTS).map(Some).chain([None]);
        for start in starts {
            if let Some(start) = start {
                group.members = start..(start + POINTS).min(members.len());
                ahead.fetch(points);
                pass.aim(enough, members, group, buffers);
            }
            pass.find_cover(enough, members, last, buffers);
            swap(group, last);
        }
    }
    for entry in members {
        entry.state.seen = centers.len() as u32;
    }
}
