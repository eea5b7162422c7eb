//! The nearest of a point and its candidates, exactly.

use super::bounds::{RELATIVE, within};
use super::pass::{Entry, Group, Pass};
use super::points::{State, root_above};
use super::screen::{Candidates, Probe};
use crate::distance::squared_within;

impl<'a> Pass<'a> {
    /// Finds the centre each point of a group is to be measured against first, and asks for the rows.
    pub fn aim_at_closest(&self, members: &[Entry], group: &mut Group) {
        let entries = &members[group.members.clone()];
        self.compare(entries, group);
        for (i, entry) in entries.iter().enumerate() {
            let (candidates, probe) = (self.candidates(group, i), self.probe(entry, group.errors[i]));
            // Nearly always nearer than the point's centre.
            let mut lane = candidates.nearest(self.simd);
            if candidates.accounted_for(&probe, lane) {
                lane = candidates.doubtful(self.simd, &probe, 0);
            }
            self.aim(entry, group, i, lane);
        }
    }

    /// Measures what is in doubt. What the first distance leaves rules out most others.
    pub fn find_closest(&self, members: &mut [Entry], group: &Group, buffer: &mut Vec<f32>) {
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
        let (view, centers) = (self.view.from(group.first), self.centers);
        let (indices, squared) = (self.indices(group), group.squared(i));
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
