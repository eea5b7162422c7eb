//! The nearest centre of every row, exactly.

pub use crate::search::Few;
use crate::search::search;
use crate::threads::Team;
use crate::{Context, Error, Matrix, Result};

/// For every row of `features` the index of its nearest row of `centers` (the lowest among equals) and the
/// distance to it.
pub fn nearest(features: &Matrix<'_>, centers: &Matrix<'_>, context: &Context<'_>) -> Result<(Vec<i64>, Vec<f32>)> {
    nearest_with(features, centers, Few::MEASURED, context)
}

/// The same with another idea of how few rows sketches do not pay for.
pub fn nearest_with(
    features: &Matrix<'_>,
    centers: &Matrix<'_>,
    few: Few,
    context: &Context<'_>,
) -> Result<(Vec<i64>, Vec<f32>)> {
    same_width(centers, features)?;
    let found = Team::with(context, |team| search(features, centers, None, few, team, context))?;
    Ok(found
        .into_iter()
        .map(|(squared, index)| (index, squared.sqrt() as f32))
        .unzip())
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
