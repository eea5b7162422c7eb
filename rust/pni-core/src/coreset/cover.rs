//! Any centre near enough to a point to keep it out of the hot ones: which is nearest need not be known.

use super::pass::{Entry, Group, Pass};
use crate::bounds::lowest::least;
use crate::bounds::sketch::compare::{RELATIVE, at_most, decisive};
use crate::distance::root_above;

/// Candidates a point is measured against, at most. The first is near enough for 19 of 20 points.
const TRIES: usize = 4;

impl Pass<'_> {
    /// Finds the centre that looks nearest to each point of a group, and asks for the rows.
    pub fn aim_at_cover(&self, members: &[Entry], group: &mut Group) {
        let entries = &members[group.members.clone()];
        self.compare(entries, group);
        for (i, entry) in entries.iter().enumerate() {
            let own = self.cell.own_lane(entry.state.center as usize, group.first);
            let squared = group.squared_mut(i);
            if let Some(own) = own {
                squared[own] = f32::INFINITY;
            }
            let lane = least(self.simd, squared);
            self.aim(entry, group, i, lane);
        }
    }

    /// Measures what looks nearest until something is nearer than `enough` (squared), or nothing can be.
    pub fn find_cover(&self, enough: f64, members: &mut [Entry], group: &mut Group, buffer: &mut Vec<f32>) {
        for (i, entry) in members[group.members.clone()].iter_mut().enumerate() {
            let reach = (root_above(enough) + entry.slack) * (1.0 + RELATIVE);
            let limit = decisive(self.cell.units(reach) + group.errors[i] + self.view.slack);
            let row = self.points.row(entry.point as usize, entry.slack, buffer);
            let mut lane = group.aims[i];
            for _ in 0..TRIES {
                let Some(index) = self.indices(group).get(lane).copied() else {
                    break;
                };
                let squared = group.squared_mut(i);
                if squared[lane] > limit {
                    break;
                }
                let distance = at_most(self.simd, row, self.centers.row(index as usize));
                if distance < entry.state.best {
                    (entry.state.best, entry.state.center) = (distance, index);
                    if distance < enough {
                        break;
                    }
                }
                squared[lane] = f32::INFINITY;
                lane = least(self.simd, squared);
            }
        }
    }
}
