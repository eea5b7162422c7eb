//! All arithmetic in low precision, and what it proves: float32 and bytes bound distances, and never decide.

pub(crate) mod bytes;
pub(crate) mod lowest;
pub(crate) mod pair;
pub(crate) mod products;
pub(crate) mod sketch;

/// Unit of rounding of float32.
pub(crate) const UNIT: f64 = f32::EPSILON as f64 / 2.0;
