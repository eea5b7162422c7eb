//! The nearest centre of every row, exactly.

use crate::distance::closest;
use crate::threads::Team;
use crate::{Context, Error, Matrix, Result};

/// For every row of `features` the index of its nearest row of `centers` (the lowest among equals) and the
/// distance to it.
pub fn nearest(features: &Matrix<'_>, centers: &Matrix<'_>, context: &Context<'_>) -> Result<(Vec<i64>, Vec<f32>)> {
    same_width(centers, features)?;
    Team::with(context, |team| {
        features.check_finite(team)?;
        centers.check_finite(team)?;
        let targets = centers.to_vec();
        let cols = features.cols();
        // Rows of a chunk share each block of centres while it is in cache.
        let block = (32_768 / cols).max(1) * cols;
        let mut found = vec![(f64::INFINITY, 0usize); features.rows()];
        let step = (features.rows_per_chunk() / 4).max(1);
        let mut done = 0;
        for (batch, part) in found.chunks_mut(step * 64).enumerate() {
            team.each_chunk(part, step, |chunk, best| {
                let first = batch * step * 64 + chunk * step;
                let mut buffer = Vec::new();
                let rows = features.load(first..first + best.len(), &mut buffer);
                for (i, centers) in targets.chunks(block).enumerate() {
                    if context.control.cancelled() {
                        return;
                    }
                    for (row, best) in rows.chunks_exact(cols).zip(best.iter_mut()) {
                        closest(context.simd, row, centers, i * block / cols, best);
                    }
                }
            })?;
            done += part.len();
            context.control.report(done);
        }
        Ok(found
            .into_iter()
            .map(|(squared, index)| (index as i64, squared.sqrt() as f32))
            .unzip())
    })
}

/// Refuses a matrix whose rows cannot be compared with those of `like`.
pub(crate) fn same_width(matrix: &Matrix<'_>, like: &Matrix<'_>) -> Result<()> {
    if matrix.cols() == like.cols() {
        return Ok(());
    }
    let allowed = format!("a matrix of {} columns, as many as {}", like.cols(), like.what());
    Err(Error::invalid(
        matrix.what(),
        allowed,
        format!("{} columns", matrix.cols()),
    ))
}
