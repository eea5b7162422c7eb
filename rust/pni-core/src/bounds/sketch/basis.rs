//! Principal directions of the data, from a fixed sample of its rows by subspace iteration.

use crate::bounds::RUN;
use crate::sample::sample;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;
use crate::threads::Team;
use crate::{Matrix, Result, Simd, memory};

/// Floats of a projected sketch: 31 components and the length of what they leave out.
pub const WIDTH: usize = 32;

/// Rounds of subspace iteration: the directions only steer speed.
const ROUNDS: usize = 2;

/// More than the rounding of the skew takes (BOUNDS.md, *Slack of a sketch*).
const SKEW_ROUNDING: f32 = 1.01;

/// Orthonormal directions around a mean.
#[derive(Debug)]
pub struct Basis {
    /// (d,)
    pub mean: Vec<f32>,
    /// (d, WIDTH): component j in column j; the last column, and those the sample does not need, are 0.
    pub vectors: Vec<f32>,
    /// At least the spectral norm of `VᵀV − I` over the columns that are not 0.
    pub skew: f32,
}

#[inline(always)]
fn project_body<I: Isa>(isa: I, rows: &[f32], cols: usize, vectors: &[f32], out: &mut [f32]) {
    // As many sums as there are registers for.
    if I::ONE_REGISTER {
        project_vectors::<I, 2>(isa, rows, cols, vectors, out);
    } else {
        project_vectors::<I, 1>(isa, rows, cols, vectors, out);
    }
}

/// `VECTORS`: vectors of lanes that are summed together, of those in a sketch.
#[inline(always)]
fn project_vectors<I: Isa, const VECTORS: usize>(isa: I, rows: &[f32], cols: usize, vectors: &[f32], out: &mut [f32]) {
    const TILE: usize = 4;
    out.fill(0.0);
    let (weights, _) = vectors.as_chunks::<LANES>();
    for start in (0..cols).step_by(RUN) {
        let end = (start + RUN).min(cols);
        for (tile, out) in rows.chunks(cols * TILE).zip(out.chunks_mut(WIDTH * TILE)) {
            // A short last tile computes its last row more than once.
            let height = tile.len() / cols;
            let row = [0, 1, 2, 3].map(|r: usize| &tile[r.min(height - 1) * cols..][start..end]);
            for group in 0..WIDTH / LANES / VECTORS {
                let mut sums = [[isa.splat(0.0); VECTORS]; TILE];
                let columns = weights[start * (WIDTH / LANES)..].chunks_exact(WIDTH / LANES);
                let values = row[0].iter().zip(row[1]).zip(row[2].iter().zip(row[3]));
                for (((a, b), (c, d)), column) in values.zip(columns) {
                    let weights: [I::F; VECTORS] = std::array::from_fn(|i| isa.load(&column[group * VECTORS + i]));
                    for (sums, value) in sums.iter_mut().zip([a, b, c, d]) {
                        let value = isa.splat(*value);
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum = isa.mul_add(value, weight, *sum);
                        }
                    }
                }
                for (out, sums) in out.chunks_exact_mut(WIDTH).zip(sums) {
                    let (out, _) = out.as_chunks_mut::<LANES>();
                    for (out, sum) in out[group * VECTORS..].iter_mut().zip(sums) {
                        isa.store(isa.add(isa.load(out), sum), out);
                    }
                }
            }
        }
    }
}

multiversion! {
    /// `out` (rows, WIDTH) = centerd rows times `vectors`.
    pub fn project(rows: &[f32], cols: usize, vectors: &[f32], out: &mut [f32]) = project_body
}

#[inline(always)]
fn spread_body<I: Isa>(isa: I, rows: &[f32], cols: usize, first: usize, components: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    let (out, _) = out.as_chunks_mut::<LANES>();
    let (components, _) = components.as_chunks::<LANES>();
    for (row, parts) in rows.chunks_exact(cols).zip(components.chunks_exact(WIDTH / LANES)) {
        for (value, out) in row[first..].iter().zip(out.chunks_exact_mut(WIDTH / LANES)) {
            for (out, part) in out.iter_mut().zip(parts) {
                isa.store(isa.mul_add(isa.splat(*value), isa.load(part), isa.load(out)), out);
            }
        }
    }
}

multiversion! {
    /// `out` = part of rowsᵀ times `components` (rows, WIDTH): dimensions from `first`, as many as fit.
    fn spread(rows: &[f32], cols: usize, first: usize, components: &[f32], out: &mut [f32]) = spread_body
}

impl Basis {
    /// The leading directions of a fixed sample of up to so many `points`. Whatever the data, what comes back is finite.
    pub fn of(points: &Matrix<'_>, most: usize, simd: Simd, team: &Team<'_>) -> Result<Self> {
        let cols = points.cols();
        let chosen = sample(points.rows(), most);
        let mut sample = memory::with_room(chosen.len() * cols);
        let mut buffer = Vec::new();
        for row in chosen {
            // Each may be a read from a disk, and more than the row is then read.
            team.control().check()?;
            let row = points.row(row, &mut buffer);
            // A row that would overflow has no part in steering.
            if row.iter().all(|x| x.abs() < 1e12) {
                sample.extend_from_slice(row);
            }
        }
        let count = sample.len() / cols;
        let mut mean: Vec<f64> = memory::zeros(cols);
        for row in sample.chunks_exact(cols) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
        }
        let mean: Vec<f32> = memory::collected(mean.iter().map(|sum| (sum / count.max(1) as f64) as f32));
        for row in sample.chunks_exact_mut(cols) {
            row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        }
        let mut vectors: Vec<f32> = memory::zeros(cols * WIDTH);
        for (j, row) in sample
            .chunks_exact(cols)
            .step_by((count / (WIDTH - 1)).max(1))
            .take(WIDTH - 1)
            .enumerate()
        {
            row.iter().enumerate().for_each(|(k, x)| vectors[k * WIDTH + j] = *x);
        }
        // Only the last time has to be exact: the others keep the directions apart.
        orthonormalize(simd, &mut vectors, 1, team)?;
        let mut components: Vec<f32> = memory::zeros(count * WIDTH);
        let mut columns = Vec::new();
        for round in 1..=ROUNDS {
            let part = 48;
            team.each_chunk(&mut components, part * WIDTH, |chunk, out| {
                let rows = &sample[chunk * part * cols..][..out.len() / WIDTH * cols];
                project(simd, rows, cols, &vectors, out);
            })?;
            team.each_chunk(&mut vectors, 16 * WIDTH, |chunk, out| {
                spread(simd, &sample, cols, chunk * 16, &components, out);
            })?;
            columns = orthonormalize(simd, &mut vectors, if round < ROUNDS { 1 } else { 2 }, team)?;
        }
        let skew = skew(simd, &columns);
        Ok(Self { mean, vectors, skew })
    }
}

/// Makes the columns orthonormal by Gram-Schmidt in float64, so many times over; drops those that depend on others.
/// Returns the columns that are left, with their numbers.
fn orthonormalize(simd: Simd, vectors: &mut [f32], times: usize, team: &Team<'_>) -> Result<Vec<(usize, Vec<f64>)>> {
    let cols = vectors.len() / WIDTH;
    let mut kept: Vec<(usize, Vec<f64>)> = Vec::with_capacity(WIDTH);
    for j in 0..WIDTH - 1 {
        team.control().check()?;
        let mut column: Vec<f64> = memory::collected((0..cols).map(|k| f64::from(vectors[k * WIDTH + j])));
        let before = dot(simd, &column, &column).sqrt();
        for _ in 0..times {
            for (_, other) in &kept {
                let along = dot(simd, &column, other);
                subtract(simd, along, other, &mut column);
            }
        }
        let length = dot(simd, &column, &column).sqrt();
        if length.is_finite() && length > 1e-6 * before && length > 1e-30 {
            for x in &mut column {
                *x = f64::from((*x / length) as f32);
            }
            kept.push((j, column));
        }
    }
    vectors.fill(0.0);
    for (j, column) in &kept {
        for (row, x) in vectors.chunks_exact_mut(WIDTH).zip(column) {
            row[*j] = *x as f32;
        }
    }
    Ok(kept)
}

/// A bound on how far the columns are from orthonormal.
fn skew(simd: Simd, columns: &[(usize, Vec<f64>)]) -> f32 {
    let mut worst = 0.0f64;
    for (i, (_, column)) in columns.iter().enumerate() {
        worst = worst.max((dot(simd, column, column) - 1.0).abs());
        for (_, other) in &columns[..i] {
            worst = worst.max(dot(simd, column, other).abs());
        }
    }
    (worst * WIDTH as f64) as f32 * SKEW_ROUNDING
}

#[inline(always)]
fn dot_body<I: Isa>(_isa: I, a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a_blocks, a_rest), (b_blocks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    lanes.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f64>()
}

multiversion! {
    fn dot(a: &[f64], b: &[f64]) -> f64 = dot_body
}

#[inline(always)]
fn subtract_body<I: Isa>(_isa: I, factor: f64, a: &[f64], from: &mut [f64]) {
    from.iter_mut().zip(a).for_each(|(x, y)| *x -= factor * y);
}

multiversion! {
    /// Subtracts `factor` times `a`.
    fn subtract(factor: f64, a: &[f64], from: &mut [f64]) = subtract_body
}
