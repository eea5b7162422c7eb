//! A short stand-in for every point, whose distances never exceed the points' own by more than a known slack.
//!
//! Up to 32 dimensions the sketch is the point. Beyond, it is the point's leading principal components and the
//! length of what they leave out: for points p, s with components y and remainders of length ρ,
//! `d(p, s)² ≥ |y_p − y_s|² + (ρ_p − ρ_s)²`. Each point's slack covers all rounding, so that
//! `d(p, s) ≥ |sketch_p − sketch_s| − slack_p − slack_s` holds for the exact distance.

mod basis;
pub(crate) mod compare;

pub(crate) use basis::{Basis, WIDTH};

use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;
use crate::threads::Team;
use crate::{Matrix, Result, Simd};
use basis::project;

/// Points that a map is made from, at most.
const SAMPLE: usize = 1024;

/// Values beyond this might overflow when squared; their points get an infinite slack, which bounds nothing.
const LARGEST: f32 = 1e16;

/// How points become sketches.
#[derive(Debug)]
pub enum Map {
    /// The sketch is the point.
    Identity(usize),
    /// Principal components and the length of the rest.
    Project(Basis),
}

impl Map {
    /// The map for these points.
    pub fn of(points: &Matrix<'_>, simd: Simd, team: &Team<'_>) -> Result<Self> {
        if points.cols() <= WIDTH {
            Ok(Self::Identity(points.cols()))
        } else {
            Ok(Self::Project(Basis::of(points, SAMPLE, simd, team)?))
        }
    }

    /// Floats of a sketch.
    pub fn width(&self) -> usize {
        match self {
            Self::Identity(cols) => *cols,
            Self::Project(_) => WIDTH,
        }
    }

    /// Writes the sketches and slacks of some finite rows.
    pub fn apply(&self, simd: Simd, rows: &[f32], sketches: &mut [f32], slacks: &mut [f32]) {
        match self {
            Self::Identity(cols) => {
                sketches.copy_from_slice(rows);
                for (row, slack) in sketches.chunks_exact_mut(*cols).zip(slacks) {
                    *slack = 0.0;
                    // Written so that NaN counts as too large.
                    if !row.iter().all(|x| x.abs() <= LARGEST) {
                        row.fill(0.0);
                        *slack = f32::INFINITY;
                    }
                }
            }
            Self::Project(basis) => basis.apply(simd, rows, sketches, slacks),
        }
    }
}

impl Basis {
    /// See [`Map::apply`].
    pub fn apply(&self, simd: Simd, rows: &[f32], sketches: &mut [f32], slacks: &mut [f32]) {
        let cols = self.mean.len();
        let mut centred = vec![0.0; rows.len()];
        centre(simd, rows, &self.mean, &mut centred, slacks);
        project(simd, &centred, cols, &self.vectors, sketches);
        // Twice the largest relative error of a float32 sum of products, however it is split below.
        let rounding = (192.0 + cols as f32 / 16.0) * f32::EPSILON;
        // Error of the components against |z|: the sums' (over 31 of them), the centring's and the basis' own.
        let components = 5.6 * rounding + f32::EPSILON + self.skew;
        // Error of |z|² − |y|² against |z|².
        let remainder = 3.0 * rounding + 2.1 * components;
        for (sketch, slack) in sketches.chunks_exact_mut(WIDTH).zip(slacks) {
            let length_squared = *slack;
            let rest_squared = (length_squared - square(simd, sketch)).max(0.0);
            let (length, rest) = (length_squared.sqrt(), rest_squared.sqrt());
            let share = remainder.sqrt().min(remainder * length / rest);
            sketch[WIDTH - 1] = rest;
            // |z|² may underflow to less than it is, hence the constant.
            *slack = length * (components + share) * 1.01 + 1e-18 * (cols as f32).sqrt();
            if length.is_nan() || length > LARGEST {
                sketch.fill(0.0);
                *slack = f32::INFINITY;
            }
        }
    }
}

#[inline(always)]
fn square_body<I: Isa>(isa: I, values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = isa.splat(0.0);
    for block in blocks {
        let values = isa.load(block);
        sums = isa.mul_add(values, values, sums);
    }
    if !rest.is_empty() {
        let values = isa.load_part(rest);
        sums = isa.mul_add(values, values, sums);
    }
    isa.sum(sums)
}

multiversion! {
    /// The sum of squares.
    fn square(values: &[f32]) -> f32 = square_body
}

#[inline(always)]
fn centre_body<I: Isa>(isa: I, rows: &[f32], mean: &[f32], out: &mut [f32], lengths: &mut [f32]) {
    let cols = mean.len();
    let rows = rows.chunks_exact(cols).zip(out.chunks_exact_mut(cols));
    for ((row, out), length) in rows.zip(lengths) {
        for ((out, x), mean) in out.iter_mut().zip(row).zip(mean) {
            *out = x - mean;
        }
        *length = square_body(isa, out);
    }
}

multiversion! {
    /// Rows less the mean, and their squared lengths.
    fn centre(rows: &[f32], mean: &[f32], out: &mut [f32], lengths: &mut [f32]) = centre_body
}
