//! The nearest of all centres, exactly, for points that may be picked next.

use super::centers::Centers;
use super::one::One;
use super::points::{Points, State};
use crate::bounds::bytes::lanes::{Bytes, GROUP};
use crate::bounds::lowest::{least, up_to};
use crate::bounds::sketch::compare::{RELATIVE, decisive};
use crate::distance::root_above;
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
    let fine = centers.fine_within(root_above(enough));
    team.each_chunk(&mut found, PART, |_, found| {
        let mut buffer = Vec::new();
        for (point, state) in &mut *found {
            let row = shared.row(*point, shared.slack[*point], &mut buffer);
            // Until now this may have been an upper bound.
            state.best = squared(simd, row, centers.row(state.center as usize));
            state.seen = centers.len() as u32;
        }
        let mut left: Vec<_> = found.iter_mut().filter(|(_, state)| state.best >= enough).collect();
        if fine {
            let mut scratch = Scratch::default();
            for group in left.chunks_mut(GROUP) {
                by_bytes(group, enough, shared, centers, simd, &mut scratch);
            }
        } else {
            let mut bounds = Vec::new();
            for (point, state) in left {
                let one = One::new(*point, shared.slack[*point], shared, centers, simd, &mut buffer);
                one.bound(state, centers.blocks(), &mut bounds);
                // Lanes without a centre, and the point's own.
                bounds[centers.len()..].fill(f32::INFINITY);
                bounds[state.center as usize] = f32::INFINITY;
                one.find(enough, state, &mut bounds, |lane| lane as u32);
            }
        }
    })?;
    for (point, state) in found {
        points.states[point] = state;
    }
    Ok(())
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    squared: Vec<f32>,
    listed: Vec<u32>,
    bounds: Vec<f32>,
    row: Vec<f32>,
}

/// Settles up to four points: bytes leave few centres to be looked at more closely.
fn by_bytes(
    group: &mut [&mut (usize, State)],
    enough: f64,
    points: &Points<'_>,
    centers: &Centers,
    simd: Simd,
    scratch: &mut Scratch,
) {
    let Scratch {
        squared,
        listed,
        bounds,
        row,
    } = scratch;
    let view = centers.lanes().from(0);
    let bytes: [Bytes; GROUP] = std::array::from_fn(|i| {
        let (point, _) = *group[i.min(group.len() - 1)];
        centers.bytes(simd, points.sketch(point))
    });
    view.compare(simd, &bytes, squared);
    let lanes = squared.len() / GROUP;
    for (((point, state), bytes), squared) in group.iter_mut().zip(&bytes).zip(squared.chunks_exact_mut(lanes)) {
        let slack = points.slack[*point];
        let limit = |state: &State| {
            let reach = (root_above(state.best) + slack) * (1.0 + RELATIVE);
            decisive(reach * centers.per() + bytes.error + view.slack)
        };
        let one = One::new(*point, slack, points, centers, simd, row);
        squared[state.center as usize] = f32::INFINITY;
        let nearest = least(simd, squared);
        if squared[nearest] > limit(state) || squared[nearest] == f32::INFINITY {
            continue;
        }
        one.measure(nearest as u32, state);
        if state.best < enough {
            continue;
        }
        squared[nearest] = f32::INFINITY;
        listed.clear();
        up_to(simd, squared, limit(state), listed);
        // Lanes without a centre are within an infinite limit.
        listed.truncate(listed.partition_point(|lane| (*lane as usize) < centers.len()));
        one.bound_some(listed, bounds);
        one.find(enough, state, bounds, |lane| listed[lane]);
    }
}
