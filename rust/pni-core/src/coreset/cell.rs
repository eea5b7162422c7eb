//! The later centres that may be nearer to the points of one cell, laid out to be compared with them.

use super::centers::Centers;
use crate::Simd;
use crate::bounds::bytes::lanes::{Bytes, GROUP, Lanes, View};
use crate::bounds::bytes::quantize::REACH;
use crate::bounds::sketch::compare::BLOCK;

/// What laying out a candidate costs, in comparisons with one point.
const LAYING: usize = 32;

/// A component of a point is rarely longer than so many times the root of the mean of their squares.
const SPREAD: f32 = 2.8;

/// The candidates of some points with the same nearest centre.
#[derive(Debug, Default)]
pub struct Cell {
    /// The centres to compare with.
    pub candidates: Vec<u32>,
    lanes: Lanes,
    /// Where the candidates are all centres from here on, whose own lanes serve.
    first: Option<usize>,
    origin: Vec<f32>,
    /// Units of the bytes to one.
    per: f32,
}

impl Cell {
    /// Lays out the candidates of `members` points, found within `horizon` of `center` among the centres from `seen`
    /// on.
    pub fn lay(&mut self, simd: Simd, center: usize, seen: usize, horizon: f32, members: usize, centers: &Centers) {
        let first = seen / BLOCK * BLOCK;
        let all = centers.len() - first;
        self.origin.clear();
        self.first = None;
        if centers.fine_within(horizon / 2.0) {
            self.per = centers.per();
            self.origin.resize(centers.width(), 0.0);
            if self.candidates.len() * (LAYING + members) >= all * members {
                self.first = Some(first);
                self.candidates.clear();
                self.candidates.extend(first as u32..centers.len() as u32);
            } else {
                self.lanes.reset(centers.width());
                for candidate in &self.candidates {
                    self.lanes.push_from(centers.lanes(), *candidate as usize);
                }
            }
            return;
        }
        // A point is within half the horizon of its centre, and the more components share that, the less of each is cut
        // off by finer units.
        let finer = ((centers.width() as f32).sqrt() / SPREAD).max(1.0);
        self.per = f32::from(REACH) * 2.0 * finer / horizon.max(1e-30);
        self.origin.extend_from_slice(centers.sketch(center));
        self.lanes.reset(centers.width());
        for candidate in &self.candidates {
            let index = *candidate as usize;
            let bytes = Bytes::of(simd, centers.sketch(index), &self.origin, self.per);
            self.lanes.push(&bytes, centers.slack()[index] * self.per);
        }
    }

    /// The lanes of the candidates.
    pub fn view<'a>(&'a self, centers: &'a Centers) -> View<'a> {
        self.first
            .map_or_else(|| self.lanes.from(0), |first| centers.lanes().from(first))
    }

    /// The lane, counted from lane `from`, of a centre that is not a candidate but lies among them.
    pub fn own_lane(&self, center: usize, from: usize) -> Option<usize> {
        self.first.and_then(|first| center.checked_sub(first + from))
    }

    /// The first lane, a multiple of 16, that can matter to points that have seen the centres below `seen`.
    pub fn first_lane(&self, seen: usize) -> usize {
        self.first.map_or(0, |first| (seen - first) / BLOCK * BLOCK)
    }

    /// Up to four points in the bytes of this cell.
    pub fn bytes(&self, simd: Simd, sketches: [&[f32]; GROUP]) -> [Bytes; GROUP] {
        sketches.map(|sketch| Bytes::of(simd, sketch, &self.origin, self.per))
    }

    /// A distance in units.
    pub fn units(&self, distance: f32) -> f32 {
        distance * self.per
    }
}
