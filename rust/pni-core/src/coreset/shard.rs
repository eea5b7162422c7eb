//! Points that lie together, and all centers: what one machine holds of a selection.

use super::catch_up::catch_up;
use super::centers::Centers;
use super::clusters::Clusters;
use super::lazy::Tuning;
use super::links::{Linked, Links};
use super::points::Points;
use super::settle::settle;
use crate::bounds::sketch::compare::{COVER_SHARE, horizon};
use crate::threads::Team;
use crate::{Result, Simd, memory};

/// Points that are asked how far they are, at most, when a threshold is chosen.
const SAMPLE: usize = 4096;

/// Points and centers at work.
pub struct Core<'a> {
    pub points: Points<'a>,
    pub centers: Centers,
    clusters: Clusters,
    links: Links,
}

impl<'a> Core<'a> {
    /// No centers yet, of which `before` come from elsewhere.
    pub fn new(points: Points<'a>, before: usize, tuning: Tuning) -> Self {
        let width = points.map.width();
        let rows = points.states.len();
        Self {
            centers: Centers::new(points.matrix.cols(), width, points.largest()),
            clusters: Clusters::new(tuning.clusters, width),
            links: Links::new(before, rows),
            points,
        }
    }

    /// Links the newest center, chosen at the root of `squared`, to those before it.
    pub fn link(&mut self, squared: f64) {
        let share = if self.centers.are_sketches() { 1.0 } else { COVER_SHARE };
        self.links.meet(self.centers.len() - 1, squared, share);
    }

    /// What is known of some points, evenly spread: at least their squared distances.
    pub fn sample(&self) -> Vec<f64> {
        let states = &self.points.states;
        let some = states.iter().step_by(states.len().div_ceil(SAMPLE));
        some.map(|state| state.best).collect()
    }

    /// Finds the points that are at least the root of `threshold` from all centers: they are among those returned, whose nearest
    /// is known. None where no point can be as far.
    pub fn lower(&mut self, threshold: f64, simd: Simd, team: &Team<'_>) -> Result<Option<Vec<u32>>> {
        let mut list = self.at_least(threshold, team)?;
        if list.is_empty() {
            return Ok(None);
        }
        self.catch_up(&list, threshold, simd, team)?;
        if !self.centers.are_sketches() {
            list.retain(|point| self.points.states[*point as usize].best >= threshold);
            let (centers, clusters) = (&self.centers, &self.clusters);
            settle(&mut self.points, &list, threshold, centers, clusters, simd, team)?;
        }
        Ok(Some(list))
    }

    /// Brings points up to date with all centers; see [`catch_up`].
    pub fn catch_up(&mut self, list: &[u32], enough: f64, simd: Simd, team: &Team<'_>) -> Result<()> {
        // No point is farther than these, now or later.
        let best = list.iter().map(|point| self.points.states[*point as usize].best);
        let share = if self.centers.are_sketches() { 1.0 } else { COVER_SHARE };
        let most = share * horizon(best.fold(0.0, f64::max));
        self.clusters.keep_up(&self.centers, simd, team)?;
        self.links.make(&self.centers, &self.clusters, most, simd, team)?;
        let linked = Linked {
            centers: &self.centers,
            clusters: &self.clusters,
            links: &self.links,
        };
        catch_up(&mut self.points, list, enough, linked, simd, team)
    }

    /// The points whose distance may reach the threshold (squared).
    fn at_least(&self, threshold: f64, team: &Team<'_>) -> Result<Vec<u32>> {
        const PART: usize = 1 << 15;
        let states = &self.points.states;
        let mut parts = memory::filled(Vec::new(), states.len().div_ceil(PART));
        team.each_chunk(&mut parts, 1, |part, found| {
            let first = part * PART;
            let states = &states[first..(first + PART).min(states.len())];
            let far = states.iter().enumerate().filter(|(_, state)| state.best >= threshold);
            far.for_each(|(i, _)| memory::push(&mut found[0], (first + i) as u32));
        })?;
        let mut all = memory::with_room(parts.iter().map(Vec::len).sum());
        for part in &parts {
            all.extend_from_slice(part);
        }
        Ok(all)
    }
}
