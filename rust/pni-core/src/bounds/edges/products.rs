//! Distances by products: what a score may be off by.

use super::{LOST, Random, scaled};
use crate::Simd;
use crate::bounds::products::space::Space;
use crate::bounds::products::{PANEL, Panels, Products, Rows, TILE_ROWS, products, stride};
use crate::distance::squared;

/// The score of a column for a row, the row's squared length, and the highest score of a column within `squared`.
fn scored(simd: Simd, space: &Space, row: &[f32], column: &[f32], squared: f64) -> (f32, f32, f32) {
    let width = row.len();
    let mut values = vec![0.0; TILE_ROWS * stride(width)];
    let norm = space.center(simd, row, &mut values[..width]);
    let mut centered = vec![0.0; width];
    let length = space.center(simd, column, &mut centered);
    let mut panels = Panels::new(width, PANEL, f32::INFINITY);
    for (panel, base) in panels.parts() {
        base.fill(0.5 * (1.0 - space.full_error()) as f32 * length);
        for (to, x) in panel.iter_mut().zip(&centered) {
            to.fill(-x);
        }
    }
    let mut out = Products::default();
    let rows = Rows {
        values: &values,
        stride: stride(width),
    };
    products(simd, rows, &panels, 0..1, None, &mut out);
    let error = space.full_error() * (f64::from(norm) + f64::from(length));
    let limit = space.limit(squared, norm, space.full_error());
    (out.values[0][7], limit, error as f32)
}

/// *Products*: a column as near as asked about never scores above the limit, where its product loses every term. A fifth of
/// the error is used up, more than that is left to spare by `SAFETY`.
#[test]
fn products_are_bounded() {
    for simd in Simd::available() {
        let mut least = f64::INFINITY;
        for width in [1, 7, 64, 128, 1000, 4000] {
            let lost = |i: usize| i > 0 && (i < 128 || i % 128 == 5);
            let column: Vec<f32> = (0..width)
                .map(|i| if lost(i) { LOST } else { f32::from(i == 0) })
                .collect();
            let opposite: Vec<f32> = column.iter().map(|x| -x).collect();
            let space = Space::new(&[&column[..], &opposite].concat(), width);
            for row in [&column, &opposite] {
                let (score, limit, error) = scored(simd, &space, row, &column, squared(simd, row, &column));
                assert!(score <= limit, "{simd} {width} {score} {limit}");
                // 1 where nothing is lost, 0 at the edge.
                least = least.min(2.0 * (f64::from(limit) - f64::from(score)) / f64::from(error));
            }
        }
        assert!((0.5..0.85).contains(&least), "{simd} {least}");
    }
}

/// The same for rows of all sizes, far from the origin and near each other.
#[test]
fn products_are_bounded_wherever_rows_lie() {
    let mut random = Random(7);
    for simd in Simd::available() {
        for round in 0..400 {
            let width = [1, 3, 8, 33, 100, 300][round % 6];
            let exponent = random.below(240) as i32 - 140;
            let near = [1.0, 1e-3, 1e-6][random.below(3)];
            let offset = [0.0, 1.0, 1000.0][random.below(3)];
            let center = random.value() * offset;
            let values = |random: &mut Random| -> Vec<f32> {
                let values: Vec<f32> = (0..width).map(|_| center + random.value()).collect();
                scaled(&values, exponent)
            };
            let (row, other) = (values(&mut random), values(&mut random));
            let column: Vec<f32> = row.iter().zip(&other).map(|(x, y)| x + near * (y - x)).collect();
            let space = Space::new(&[&column[..], &other].concat(), width);
            let (score, limit, _) = scored(simd, &space, &row, &column, squared(simd, &row, &column));
            assert!(
                !limit.is_finite() || !score.is_finite() || score <= limit,
                "{simd} {round} {score} {limit}"
            );
        }
    }
}
