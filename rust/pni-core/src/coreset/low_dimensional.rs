//! Catching up for points that are their own sketches: a float32 distance leaves hardly anything in doubt.

use super::centers::Centers;
use super::cover::{Entry, horizon_of};
use super::links::Linked;
use super::points::Points;
use super::settle::One;
use crate::Simd;
use crate::memory;
use crate::simd::lanes::LANES;
use crate::simd::prefetch;

/// Compares points, ordered by their nearest center, with the centers they have not seen.
pub fn catch_up_exactly(entries: &mut [Entry], points: &Points<'_>, linked: Linked<'_>, simd: Simd) {
    let centers = linked.centers;
    for entry in &*entries {
        prefetch(points.sketch(entry.point as usize));
    }
    let (mut candidates, mut apart) = (Vec::new(), Vec::new());
    let (mut lanes, mut bounds, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
        let seen = members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize;
        let (center, horizon) = (members[0].state.center as usize, horizon_of(members));
        linked.candidates(simd, center, seen, horizon, &mut apart, &mut candidates);
        lay(&candidates, centers, &mut lanes);
        for entry in members {
            if !candidates.is_empty() {
                let one = One::new(entry.point as usize, entry.slack, points, centers, simd, &mut buffer);
                one.bound(&entry.state, &lanes, &mut bounds);
                bounds[candidates.len()..].fill(f32::INFINITY);
                one.find(0.0, &mut entry.state, &mut bounds, |lane| candidates[lane]);
            }
            entry.state.seen = centers.len() as u32;
        }
    }
}

/// The sketches of the candidates, in blocks of 16, component by component.
fn lay(candidates: &[u32], centers: &Centers, lanes: &mut Vec<f32>) {
    let width = centers.width();
    lanes.clear();
    memory::resize(lanes, candidates.len().next_multiple_of(LANES) * width, 0.0);
    for (block, candidates) in lanes.chunks_exact_mut(LANES * width).zip(candidates.chunks(LANES)) {
        for (lane, candidate) in candidates.iter().enumerate() {
            let values = centers.sketch(*candidate as usize);
            for (row, value) in block.chunks_exact_mut(LANES).zip(values) {
                row[lane] = *value;
            }
        }
    }
}
