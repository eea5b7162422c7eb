//! Catching up for points that are their own sketches: a float32 distance leaves hardly anything in doubt.

use super::centers::lay;
use super::cover::{Entry, horizon_of};
use super::linked::Linked;
use super::links::Scratch;
use super::points::Points;
use super::settle::One;
use crate::Simd;
use crate::simd::prefetch;

/// Compares points, ordered by their nearest center, with the centers they have not seen.
pub fn catch_up_exactly(entries: &mut [Entry], points: &Points<'_>, linked: Linked<'_>, simd: Simd) {
    let centers = linked.centers;
    for entry in &*entries {
        prefetch(points.sketch(entry.point as usize));
    }
    let (mut candidates, mut scratch) = (Vec::new(), Scratch::default());
    let (mut lanes, mut bounds, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    for members in entries.chunk_by_mut(|a, b| a.state.center == b.state.center) {
        let seen = members.iter().map(|entry| entry.state.seen).min().unwrap_or(0) as usize;
        let (center, horizon) = (members[0].state.center as usize, horizon_of(members));
        linked.candidates(simd, center, seen, horizon, &mut scratch, &mut candidates);
        let sketches = candidates.iter().map(|index| centers.sketch(*index as usize));
        lay(sketches, centers.width(), &mut lanes);
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
