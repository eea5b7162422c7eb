//! Masked nearest neighbor: `−log max_c p(Φ|c) T_τ(c|Ω)` up to λ (equations (1) to (5) of the paper).

use crate::labels::check_below;
use crate::search::{Few, Mask, search};
use crate::threads::Team;
use crate::{Context, Error, Matrix, Result, memory};

/// Which groups each row may use: a row of bits per feature, lowest bit first.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// `features.rows()` rows of `groups.div_ceil(8)` bytes.
    pub bits: &'a [u8],
    /// Number of groups.
    pub groups: usize,
}

/// For every row of `features` the distance to, and the index of, the nearest coreset row whose group is allowed;
/// infinity and −1 where none is.
pub fn max_likelihood(
    features: &Matrix<'_>,
    coreset: &Matrix<'_>,
    groups: &[i64],
    allowed: Allowed<'_>,
    context: &Context<'_>,
) -> Result<(Vec<f32>, Vec<i64>)> {
    max_likelihood_with(features, coreset, groups, allowed, Few::MEASURED, context)
}

/// The same with another idea of how few rows sketches do not pay for.
pub fn max_likelihood_with(
    features: &Matrix<'_>,
    coreset: &Matrix<'_>,
    groups: &[i64],
    allowed: Allowed<'_>,
    few: Few,
    context: &Context<'_>,
) -> Result<(Vec<f32>, Vec<i64>)> {
    coreset.check_width(features)?;
    if groups.len() != coreset.rows() {
        let expected = format!("one group per coreset row ({})", coreset.rows());
        return Err(Error::invalid("groups", expected, groups.len()));
    }
    let stride = allowed.groups.div_ceil(8);
    if features.rows().checked_mul(stride) != Some(allowed.bits.len()) {
        let expected = format!("{} rows of {stride} bytes", features.rows());
        return Err(Error::invalid(
            "allowed",
            expected,
            format!("{} bytes", allowed.bits.len()),
        ));
    }
    memory::guarded(|| {
        let found = Team::with(context, |team| {
            check_below("groups", "integers", groups, allowed.groups, team)?;
            let mask = Mask::new(groups, allowed.groups, allowed.bits);
            search(features, coreset, Some(&mask), few, team, context)
        })?;
        let found = found.into_iter();
        Ok(memory::unzipped(
            found.map(|(squared, index)| (squared.sqrt() as f32, index)),
        ))
    })
}
