//! All arithmetic in low precision, and what it proves: float32 and bytes bound distances, and never decide.
//!
//! `BOUNDS.md` derives every constant. Whatever steers speed alone may be wrong without harm, and says so.

pub(crate) mod bytes;
pub(crate) mod center;
#[cfg(test)]
mod edges;
pub(crate) mod lowest;
pub(crate) mod pair;
pub(crate) mod products;
pub(crate) mod sketch;

/// Unit of rounding of float32 (BOUNDS.md, *Model*).
pub(crate) const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Terms added up in one go before they join the total, which keeps the rounding error of long sums small.
pub(crate) const RUN: usize = 128;

/// What the conversion of a root to float32 takes, relative, and more (BOUNDS.md, *Roots*).
const ROOT_ROUNDING: f64 = 2e-7;

/// A float32 at least the root of a squared distance.
pub(crate) fn root_above(squared: f64) -> f32 {
    // The addend is for values that round to 0.
    (squared.sqrt() * (1.0 + ROOT_ROUNDING)) as f32 + f32::MIN_POSITIVE
}
