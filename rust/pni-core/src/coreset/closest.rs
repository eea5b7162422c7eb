//! The nearest of a point and its candidates, exactly.

use super::bounds::RELATIVE;
use super::pass::{Entry, Group, Pass};
use super::points::root_above;
use super::row_bytes::{PIECE, RowBytes};
use super::screen::{Candidates, least};
use crate::distance::{squared, squared_within};

/// Buffers of a thread.
#[derive(Default)]
pub struct Rows {
    pub row: Vec<f32>,
    pub bytes: Vec<[i8; PIECE]>,
}

impl Pass<'_> {
    /// Finds the centre that looks nearest to each point of a group, and asks for the rows.
    pub fn aim_at_closest(&self, members: &[Entry], group: &mut Group) {
        let entries = &members[group.members.clone()];
        self.compare(entries, group);
        for (i, entry) in entries.iter().enumerate() {
            let lane = least(self.simd, group.squared(i));
            self.aim(entry, group, i, lane);
        }
    }

    /// Measures what looks nearest, which rules out most others by their sketches and nearly all by their rows' bytes,
    /// and then what is left. The point's own centre is a candidate like the others.
    pub fn find_closest(&self, known: &RowBytes, members: &mut [Entry], group: &Group, rows: &mut Rows) {
        let view = self.view.from(group.first);
        for (i, entry) in members[group.members.clone()].iter_mut().enumerate() {
            let candidates = Candidates::new(self.indices(group), group.squared(i), view.slack, known);
            let aim = group.aims[i];
            let first = candidates.center(aim).unwrap_or(entry.state.center);
            let row = self.points.row(entry.point as usize, entry.slack, &mut rows.row);
            let mut best = (squared(self.simd, row, self.centers.row(first as usize)), first);
            let error = known.quantize(self.simd, row, &mut rows.bytes);
            let mut lane = 0;
            loop {
                let distance = root_above(best.0);
                let units = self.cell.units((distance + entry.slack) * (1.0 + RELATIVE)) + group.errors[i];
                let probe = known.probe(&rows.bytes, error, distance);
                lane = candidates.doubtful(self.simd, &probe, units, lane, aim);
                let Some(index) = candidates.center(lane) else { break };
                let other = (
                    squared_within(self.simd, row, self.centers.row(index as usize), best.0),
                    index,
                );
                if other < best {
                    best = other;
                }
                lane += 1;
            }
            (entry.state.best, entry.state.center) = best;
        }
    }
}
