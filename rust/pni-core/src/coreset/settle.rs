//! The nearest of all centres, exactly, for points that may be picked next.

use super::centers::Centers;
use super::one::One;
use super::points::{Points, State};
use crate::distance::squared;
use crate::threads::Team;
use crate::{Result, Simd};

/// Points a thread takes at a time.
const PART: usize = 16;

/// For each point of `list`, finds a centre nearer than `enough` (squared) or, where there is none, the nearest.
pub fn settle(
    points: &mut Points<'_>,
    list: &[u32],
    enough: f64,
    centers: &Centers,
    simd: Simd,
    team: &Team<'_>,
) -> Result<()> {
    let mut found: Vec<(usize, State)> = list
        .iter()
        .map(|point| (*point as usize, points.states[*point as usize]))
        .collect();
    let shared: &Points<'_> = points;
    team.each_chunk(&mut found, PART, |_, found| {
        let (mut bounds, mut buffer) = (Vec::new(), Vec::new());
        for (point, state) in found {
            let one = One::new(*point, shared.slack[*point], shared, centers, simd, &mut buffer);
            // Until now this may have been an upper bound.
            state.best = squared(simd, one.row, centers.row(state.center as usize));
            if state.best >= enough {
                one.bound(state, centers.blocks(), &mut bounds);
                // Lanes without a centre, and the point's own.
                bounds[centers.len()..].fill(f32::INFINITY);
                bounds[state.center as usize] = f32::INFINITY;
                one.find(enough, state, &mut bounds, |lane| lane as u32);
            }
            state.seen = centers.len() as u32;
        }
    })?;
    for (point, state) in found {
        points.states[point] = state;
    }
    Ok(())
}
