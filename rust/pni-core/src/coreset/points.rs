//! What is known of every point: its sketch and an upper bound of its distance to the nearest center.

use super::centers::Centers;
use crate::bounds::sketch::Map;
use crate::distance::squared;
use crate::matrix::first_not_finite;
use crate::memory::prefer_large_pages;
use crate::sample::sample;
use crate::threads::Team;
use crate::{Error, Matrix, Result, Simd, memory};
use std::sync::{Mutex, PoisonError};

/// float32 in a cache line.
const LINE: usize = 16;

/// Sketches that are asked for their largest component, at most.
const LARGEST_OF: usize = 4096;

/// What is known of a point's nearest center.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// At least the squared distance to `center`; the canonical one where that is known to be the nearest.
    pub best: f64,
    /// Some center; of hot and settled points, and of those that are their own sketches, the nearest of the centers below
    /// `seen`, the earliest among equals.
    pub center: u32,
    /// Centers the point has been compared with, or that are too far to matter.
    pub seen: u32,
}

/// What is known of points, without their rows.
pub struct Known {
    map: Map,
    sketches: Vec<f32>,
    aligned: usize,
    slack: Vec<f32>,
    states: Vec<State>,
}

/// All points.
pub struct Points<'a> {
    pub matrix: &'a Matrix<'a>,
    pub map: Map,
    sketches: Vec<f32>,
    /// Where the first sketch begins.
    aligned: usize,
    pub slack: Vec<f32>,
    pub states: Vec<State>,
}

impl<'a> Points<'a> {
    /// Reads every row once: refuses what is not finite, makes its sketch, and measures its distance to `first`.
    pub fn read(matrix: &'a Matrix<'a>, first: &[f32], simd: Simd, team: &Team<'_>) -> Result<Self> {
        let map = Map::of(matrix, simd, team)?;
        let (rows, cols, width) = (matrix.rows(), matrix.cols(), map.width());
        // Projected sketches fill cache lines.
        let mut sketches: Vec<f32> = memory::zeros(rows * width + LINE);
        prefer_large_pages(&mut sketches);
        let aligned = sketches.as_ptr().align_offset(64).min(LINE);
        let mut slack: Vec<f32> = memory::zeros(rows);
        let unknown = State {
            best: 0.0,
            center: 0,
            seen: 1,
        };
        let mut states = memory::filled(unknown, rows);
        // 48 rows are a multiple of the projection's tile and stay in the second-level cache.
        let step = (196_608 / cols).clamp(1, 4_096).next_multiple_of(48);
        let parts = sketches[aligned..][..rows * width]
            .chunks_mut(step * width)
            .zip(slack.chunks_mut(step))
            .zip(states.chunks_mut(step))
            .map(Some)
            .map(Mutex::new);
        let parts = memory::collected(parts);
        let bad = Mutex::new(usize::MAX);
        team.each(parts.len(), |part| {
            let taken = parts[part].lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(((sketches, slack), states)) = taken else {
                return;
            };
            let begin = part * step;
            let mut buffer = Vec::new();
            let values = matrix.load(begin..begin + states.len(), &mut buffer);
            map.apply(simd, values, sketches, slack);
            // What is not finite, and little else, has no sketch.
            if slack.contains(&f32::INFINITY)
                && let Some(row) = first_not_finite(values, cols)
            {
                let mut bad = bad.lock().unwrap_or_else(PoisonError::into_inner);
                *bad = (*bad).min(begin + row);
                return;
            }
            for (row, state) in values.chunks_exact(cols).zip(states) {
                state.best = squared(simd, row, first);
            }
        })?;
        match bad.into_inner().unwrap_or_else(PoisonError::into_inner) {
            usize::MAX => Ok(Self {
                matrix,
                map,
                sketches,
                aligned,
                slack,
                states,
            }),
            row => Err(Error::NotFinite {
                what: matrix.what(),
                row,
            }),
        }
    }

    /// The points of a matrix that were read before.
    pub fn of(matrix: &'a Matrix<'a>, known: Known) -> Self {
        let Known {
            map,
            sketches,
            aligned,
            slack,
            states,
        } = known;
        Self {
            matrix,
            map,
            sketches,
            aligned,
            slack,
            states,
        }
    }

    /// What is known of them.
    pub fn known(self) -> Known {
        Known {
            map: self.map,
            sketches: self.sketches,
            aligned: self.aligned,
            slack: self.slack,
            states: self.states,
        }
    }

    /// About the largest component of a sketch, from a sample of them.
    pub fn largest(&self) -> f32 {
        let some = sample(self.states.len(), LARGEST_OF).flat_map(|point| self.sketch(point));
        some.fold(0.0, |most: f32, value| most.max(value.abs()))
    }

    pub fn sketch(&self, point: usize) -> &[f32] {
        let width = self.map.width();
        &self.sketches[self.aligned + point * width..][..width]
    }

    /// A point's values; `slack` is its own.
    pub fn row<'b>(&'b self, point: usize, slack: f32, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        // A sketch that is the point itself is in the cache already.
        match self.map {
            Map::Identity(_) if slack == 0.0 => self.sketch(point),
            _ => self.matrix.row(point, buffer),
        }
    }

    /// Asks for a point's values where they are not with its sketch.
    pub fn prefetch(&self, point: usize) {
        if matches!(self.map, Map::Project(_)) {
            self.matrix.prefetch(point);
        }
    }

    /// Makes a point a center.
    pub fn add_to(&self, simd: Simd, point: usize, centers: &mut Centers) {
        let mut buffer = Vec::new();
        centers.push(
            simd,
            self.matrix.row(point, &mut buffer),
            self.sketch(point),
            self.slack[point],
        );
    }
}
