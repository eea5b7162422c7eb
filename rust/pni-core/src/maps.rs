//! Small grids brought to the size of a map: a product with a matrix on either side.

use crate::{Error, Matrix, Result, memory};
use std::ops::Range;

/// `rows` · `grid` · `columns`, in C order, of finite values.
///
/// Each of the two sums runs over its terms in order, from the first to the last, in float32: the bits are those of
/// the definition on any machine, and one thread computes them. Most factors of a smoothing are zero; where a row of
/// `columns` begins or ends with zeros they are left out, which changes no sum.
pub fn enlarge(grid: &Matrix<'_>, rows: &Matrix<'_>, columns: &Matrix<'_>) -> Result<Vec<f32>> {
    let (height, width) = (grid.rows(), grid.cols());
    if rows.cols() != height || columns.rows() != width {
        let allowed = format!(
            "between matrices of {} columns and {} rows",
            rows.cols(),
            columns.rows()
        );
        return Err(Error::invalid(
            grid.what(),
            allowed,
            format!("shape ({height}, {width})"),
        ));
    }
    let wide = columns.cols();
    memory::guarded(|| {
        let mut buffers = [Vec::new(), Vec::new(), Vec::new()];
        let [of_grid, of_rows, of_columns] = &mut buffers;
        let grid = grid.load(0..height, of_grid);
        let left = rows.load(0..rows.rows(), of_rows);
        let right = columns.load(0..width, of_columns);
        let spans: Vec<Range<usize>> = memory::collected(right.chunks_exact(wide).map(span));
        let mut map = memory::zeros::<f32>(rows.rows().saturating_mul(wide));
        let mut line = memory::zeros::<f32>(width);
        for (factors, out) in left.chunks_exact(height).zip(map.chunks_exact_mut(wide)) {
            line.fill(0.0);
            for (factor, row) in factors.iter().zip(grid.chunks_exact(width)) {
                if *factor != 0.0 {
                    add(&mut line, *factor, row);
                }
            }
            for ((factor, span), row) in line.iter().zip(&spans).zip(right.chunks_exact(wide)) {
                add(&mut out[span.clone()], *factor, &row[span.clone()]);
            }
        }
        Ok(map)
    })
}

/// From the first to the last factor that is not zero.
fn span(row: &[f32]) -> Range<usize> {
    let first = row.iter().position(|factor| *factor != 0.0);
    let last = row.iter().rposition(|factor| *factor != 0.0);
    first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
}

fn add(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(values: &[f32], rows: usize, cols: usize) -> Matrix<'_> {
        Matrix::from_f32("grid", values, rows, cols).unwrap()
    }

    #[test]
    fn is_the_product_of_three() {
        let (grid, rows, columns) = (
            [1.0, 2.0, 3.0, 4.0],
            [1.0, 0.0, 0.5, 0.5],
            [0.0, 2.0, 0.0, 0.0, 1.0, 3.0],
        );
        let found = enlarge(&matrix(&grid, 2, 2), &matrix(&rows, 2, 2), &matrix(&columns, 2, 3));
        assert_eq!(found.unwrap(), vec![0.0, 4.0, 6.0, 0.0, 7.0, 9.0]);
    }

    #[test]
    fn a_side_that_does_not_fit_is_refused() {
        let values = [1.0; 6];
        let found = enlarge(&matrix(&values, 2, 3), &matrix(&values, 2, 3), &matrix(&values, 3, 2));
        assert!(matches!(found, Err(Error::Invalid { .. })), "{found:?}");
    }
}
