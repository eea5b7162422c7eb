//! The nearest of a point and its candidates, exactly.

use super::bounds::RELATIVE;
use super::pass::{Entry, Group, Pass};
use super::screen::{keep_near, least, within_units};
use crate::bytes::{Narrowed, RowBytes};
use crate::distance::root_above;
use crate::distance::{squared, squared_within};

/// Buffers of a thread.
#[derive(Default)]
pub struct Rows {
    pub row: Vec<f32>,
    left: Narrowed,
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
    /// and then what is left. A point's own centre is a candidate like the others.
    pub fn find_closest(&self, known: &RowBytes, members: &mut [Entry], group: &Group, rows: &mut Rows) {
        let (simd, centers, indices) = (self.simd, self.centers, self.indices(group));
        for (i, entry) in members[group.members.clone()].iter_mut().enumerate() {
            let left = &mut rows.left;
            let point = entry.point as usize;
            let first = indices.get(group.aims[i]).copied().unwrap_or(entry.state.center);
            let row = self.points.row(point, entry.slack, &mut rows.row);
            let mut best = (squared(simd, row, centers.row(first as usize)), first);
            let distance = root_above(best.0);
            let reach = (distance + entry.slack) * (1.0 + RELATIVE);
            let units = self.cell.units(reach) + group.errors[i] + self.view.slack;
            within_units(simd, group.squared(i), units, indices, &mut left.rows);
            if known.long() {
                keep_near(simd, centers, self.points.sketch(point), reach, &mut left.rows);
            }
            known.narrow(simd, row, distance, left);
            for center in left.rows.iter().filter(|center| **center != first) {
                let other = (
                    squared_within(simd, row, centers.row(*center as usize), best.0),
                    *center,
                );
                if other < best {
                    best = other;
                }
            }
            (entry.state.best, entry.state.center) = best;
        }
    }
}
