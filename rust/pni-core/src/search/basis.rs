//! The directions in which a sample varies most: some rounds of subspace iteration. They decide how tight bounds
//! are, never whether they hold.

use super::tile::{GROUP, LANES, Panels, Products, Rows, products};
use crate::Simd;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// Directions: one panel of them, whose last lane is left for the length of what they do not catch.
pub const DIRECTIONS: usize = LANES - 1;

const ROUNDS: usize = 2;

/// Up to [`DIRECTIONS`] orthonormal directions (the others zero) as the columns of a panel, with the last lane zero. `sample` holds whole rows of `columns` values around zero.
pub fn basis(simd: Simd, sample: &[f32], columns: usize) -> Panels {
    let rows = sample.len() / columns;
    let mut padded = sample.to_vec();
    padded.resize(rows.next_multiple_of(GROUP) * columns, 0.0);
    let mut by_column = Panels::new(rows, columns, 0.0);
    for (panel, (values, _)) in by_column.parts().enumerate() {
        for (values, row) in values.iter_mut().zip(sample.chunks_exact(columns)) {
            let part = &row[panel * LANES..columns.min((panel + 1) * LANES)];
            values[..part.len()].copy_from_slice(part);
        }
    }
    let mut directions = vec![0.0f64; DIRECTIONS * columns];
    for (i, direction) in directions.chunks_exact_mut(columns).enumerate().take(rows) {
        let row = i * rows / DIRECTIONS.min(rows);
        direction
            .iter_mut()
            .zip(&sample[row * columns..])
            .for_each(|(to, from)| *to = f64::from(*from));
    }
    let mut panel = orthonormal(simd, &mut directions, columns, 1);
    let padded = Rows {
        values: &padded,
        stride: columns,
    };
    let (mut weights, mut sums) = (Products::default(), Products::default());
    let mut transposed = vec![0.0; LANES * rows];
    // The second pass removes what rounding left of the first; only the last directions need it.
    for passes in 1..=ROUNDS {
        products(simd, padded, &panel, 0..1, None, &mut weights);
        for (row, weights) in weights.values.iter().enumerate().take(rows) {
            for (lane, weight) in weights.iter().enumerate() {
                transposed[lane * rows + row] = *weight;
            }
        }
        let transposed = Rows {
            values: &transposed,
            stride: rows,
        };
        products(simd, transposed, &by_column, 0..by_column.count(), None, &mut sums);
        for (row, direction) in directions.chunks_exact_mut(columns).enumerate() {
            let sums = sums.values[row * by_column.count()..].as_flattened().iter();
            direction
                .iter_mut()
                .zip(sums)
                .for_each(|(to, from)| *to = f64::from(*from));
        }
        panel = orthonormal(simd, &mut directions, columns, passes);
    }
    panel
}

/// Makes the rows of `directions` orthonormal in float64, those that depend on others zero, and returns them as
/// columns of a panel.
fn orthonormal(simd: Simd, directions: &mut [f64], columns: usize, passes: usize) -> Panels {
    for i in 0..DIRECTIONS {
        let (before, rest) = directions.split_at_mut(i * columns);
        let row = &mut rest[..columns];
        let length = dot(simd, row, row).sqrt();
        for _ in 0..passes {
            for other in before.chunks_exact(columns) {
                let along = dot(simd, row, other);
                subtract(simd, row, along, other);
            }
        }
        let left = dot(simd, row, row).sqrt();
        let inverse = if left > length * 1e-6 { 1.0 / left } else { 0.0 };
        for value in row.iter_mut() {
            *value *= inverse;
        }
    }
    let mut panel = Panels::new(columns, LANES, 0.0);
    for (values, _) in panel.parts() {
        for (lane, direction) in directions.chunks_exact(columns).enumerate() {
            for (values, value) in values.iter_mut().zip(direction) {
                values[lane] = *value as f32;
            }
        }
    }
    panel
}

const SUMS: usize = 16;

/// a·b + c, fused where the level can.
#[inline(always)]
fn fused<I: Isa>(a: f64, b: f64, c: f64) -> f64 {
    if I::FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn dot_body<I: Isa>(_: I, a: &[f64], b: &[f64]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<SUMS>();
    let (b_blocks, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..SUMS {
            sums[i] = fused::<I>(a[i], b[i], sums[i]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

multiversion! {
    fn dot(a: &[f64], b: &[f64]) -> f64 = dot_body
}

#[inline(always)]
fn subtract_body<I: Isa>(_: I, row: &mut [f64], factor: f64, other: &[f64]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value = fused::<I>(-factor, *other, *value);
    }
}

multiversion! {
    fn subtract(row: &mut [f64], factor: f64, other: &[f64]) = subtract_body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_orthonormal_and_catch_a_small_subspace() {
        let (rows, columns) = (90, 70);
        let sample: Vec<f32> = (0..rows * columns)
            .map(|i| {
                let (row, column) = ((i / columns) as f32, (i % columns) as f32);
                5.0 * (row * 0.7).sin() * (column * 0.3).cos() + (row * 1.3).cos() * (column * 0.9).sin()
            })
            .collect();
        for simd in Simd::available() {
            let mut panel = basis(simd, &sample, columns);
            let values: Vec<[f32; LANES]> = panel.parts().flat_map(|(values, _)| values.to_vec()).collect();
            let column = |lane: usize| values.iter().map(move |values| f64::from(values[lane]));
            let mut caught = vec![0.0; rows];
            for a in 0..LANES {
                let length: f64 = column(a).map(|x| x * x).sum();
                assert!(length == 0.0 || (length - 1.0).abs() < 1e-5, "{length}");
                assert!(length == 0.0 || a < DIRECTIONS);
                for b in 0..a {
                    let product: f64 = column(a).zip(column(b)).map(|(x, y)| x * y).sum();
                    assert!(product.abs() < 1e-5, "{product}");
                }
                for (row, caught) in sample.chunks_exact(columns).zip(&mut caught) {
                    let along: f64 = row.iter().zip(column(a)).map(|(x, y)| f64::from(*x) * y).sum();
                    *caught += along * along;
                }
            }
            for (row, caught) in sample.chunks_exact(columns).zip(caught) {
                let all: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                assert!((all - caught).abs() <= 1e-4 * all, "{caught} of {all}");
            }
        }
    }
}
