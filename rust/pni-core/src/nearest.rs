//! The nearest center of every row, exactly.

pub use crate::search::Few;
use crate::search::search;
use crate::threads::Team;
use crate::{Context, Matrix, Result, memory};

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
    centers.check_width(features)?;
    memory::guarded(|| {
        let found = Team::with(context, |team| search(features, centers, None, few, team, context))?;
        let found = found.into_iter();
        Ok(memory::unzipped(
            found.map(|(squared, index)| (index, squared.sqrt() as f32)),
        ))
    })
}
