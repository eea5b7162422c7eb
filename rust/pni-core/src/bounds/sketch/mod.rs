//! A short stand-in for every point, whose distances never exceed the points' own by more than a known slack.
//!
//! Up to 32 dimensions the sketch is the point. Beyond, it is the point's leading principal components and the
//! length of what they leave out: for points p, s with components y and remainders of length ρ,
//! `d(p, s)² ≥ |y_p − y_s|² + (ρ_p − ρ_s)²`. Each point's slack covers all rounding, so that
//! `d(p, s) ≥ |sketch_p − sketch_s| − slack_p − slack_s` holds for the exact distance.

mod basis;
pub(crate) mod compare;

pub(crate) use basis::{Basis, WIDTH};

use crate::bounds::center::center;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;
use crate::threads::Team;
use crate::{Matrix, Result, Simd, memory};
use basis::project;

/// Points that a map is made from, at most.
const MAP_POINTS: usize = 1024;

/// Values beyond this might overflow when squared; their points get an infinite slack, which bounds nothing
/// (BOUNDS.md, *Slack of a sketch*).
const LARGEST: f32 = 1e16;

/// Roundings of a term of a float32 sum of products here, beside one for every 16 values of a row, in units of
/// [`f32::EPSILON`]: twice what the analysis gives, and more (BOUNDS.md, *Slack of a sketch*).
const SUM_ROUNDINGS: f32 = 192.0;

/// At least √31: what the errors of as many components make together (BOUNDS.md, *Slack of a sketch*).
const ROOT_COMPONENTS: f32 = 5.6;

/// What the errors of three sums make of the square of what the components leave out: the squared length, the squares of the
/// components, and their difference (BOUNDS.md, *Slack of a sketch*).
const REMAINDER_SUMS: f32 = 3.0;

/// A square is off by twice the error of its root, and little more (BOUNDS.md, *Slack of a sketch*).
const REMAINDER_COMPONENTS: f32 = 2.1;

/// More than the rounding of the slack itself takes (BOUNDS.md, *Slack of a sketch*).
const SLACK_ROUNDING: f32 = 1.01;

/// A squared length may underflow to less than it is: more than the root of what a value's square can lose (BOUNDS.md, *Slack of a sketch*).
const UNDERFLOW: f32 = 1e-18;

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
            Ok(Self::Project(Basis::of(points, MAP_POINTS, simd, team)?))
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
    /// Errors of a sketch: of its components against the length of the row, and of the square of what they leave out
    /// against the square of that length (BOUNDS.md, *Slack of a sketch*).
    fn errors(&self) -> (f32, f32) {
        let rounding = (SUM_ROUNDINGS + self.mean.len() as f32 / LANES as f32) * f32::EPSILON;
        let components = ROOT_COMPONENTS * rounding + f32::EPSILON + self.skew;
        (
            components,
            REMAINDER_SUMS * rounding + REMAINDER_COMPONENTS * components,
        )
    }

    /// See [`Map::apply`].
    pub fn apply(&self, simd: Simd, rows: &[f32], sketches: &mut [f32], slacks: &mut [f32]) {
        let cols = self.mean.len();
        let mut centered = memory::zeros(rows.len());
        let rows = rows.chunks_exact(cols).zip(centered.chunks_exact_mut(cols));
        for ((row, out), length_squared) in rows.zip(&mut *slacks) {
            *length_squared = center(simd, row, &self.mean, 1.0, out);
        }
        project(simd, &centered, cols, &self.vectors, sketches);
        let (components, remainder) = self.errors();
        for (sketch, slack) in sketches.chunks_exact_mut(WIDTH).zip(slacks) {
            let length_squared = *slack;
            let rest_squared = (length_squared - square(simd, sketch)).max(0.0);
            let (length, rest) = (length_squared.sqrt(), rest_squared.sqrt());
            let share = remainder.sqrt().min(remainder * length / rest);
            sketch[WIDTH - 1] = rest;
            *slack = length * (components + share) * SLACK_ROUNDING + UNDERFLOW * (cols as f32).sqrt();
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
