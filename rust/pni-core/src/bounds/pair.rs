//! The squared distance of two rows in float32, and what rounding can have done to it (BOUNDS.md, *Pairs*).

use super::UNIT;
use crate::Simd;
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Vectors of lanes that are added up side by side.
const VECTORS: usize = 4;

/// Values that are added up side by side.
const SUMS: usize = VECTORS * LANES;

/// Roundings of a term beside an addition for every [`SUMS`] values, and more: its difference (counted twice, as it is
/// squared), its square, and the sums of the vectors, of what is left of a row, and of the lanes (BOUNDS.md, *Pairs*).
const ROUNDINGS: usize = 16;

/// The sum of the squares of what `a` and `b` differ by: off by at most a factor of 1 ± [`relative_error`], and by
/// [`absolute_error`], or infinite.
#[inline(always)]
pub fn squared<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<SUMS>();
    let (b_blocks, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [isa.splat(0.0); VECTORS];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        let ((a, _), (b, _)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for i in 0..VECTORS {
            let difference = isa.sub(isa.load(&a[i]), isa.load(&b[i]));
            sums[i] = isa.mul_add(difference, difference, sums[i]);
        }
    }
    let mut sum = isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3]));
    let (a_vectors, a_rest) = a_rest.as_chunks::<LANES>();
    let (b_vectors, b_rest) = b_rest.as_chunks::<LANES>();
    for (a, b) in a_vectors.iter().zip(b_vectors) {
        let difference = isa.sub(isa.load(a), isa.load(b));
        sum = isa.mul_add(difference, difference, sum);
    }
    if !a_rest.is_empty() {
        let difference = isa.sub(isa.load_part(a_rest), isa.load_part(b_rest));
        sum = isa.mul_add(difference, difference, sum);
    }
    isa.sum(sum)
}

multiversion! {
    /// See [`squared`].
    pub fn measure(a: &[f32], b: &[f32]) -> f32 = squared
}

/// Relative error of a sum of squares of so many differences: every difference, square and sum is of one sign and rounded
/// once.
pub fn relative_error(columns: usize) -> f64 {
    (columns.div_ceil(SUMS) + ROUNDINGS) as f64 * UNIT
}

/// What underflow takes from such a sum: each square and sum less than the smallest normal number.
pub fn absolute_error(columns: usize) -> f64 {
    columns as f64 * f64::from(f32::MIN_POSITIVE)
}

/// Bounds on a squared distance, canonical or exact, from one pass in float32.
#[derive(Debug, Clone, Copy)]
pub struct PairBounds {
    relative: f64,
    absolute: f64,
}

impl PairBounds {
    /// For rows of so many columns.
    pub fn new(columns: usize) -> Self {
        Self {
            relative: relative_error(columns),
            absolute: absolute_error(columns),
        }
    }

    /// The least and the most that the squared distance of `a` and `b` can be; the most is infinite where float32
    /// overflows.
    #[inline]
    pub fn of(&self, simd: Simd, a: &[f32], b: &[f32]) -> (f64, f64) {
        let squared = f64::from(measure(simd, a, b));
        let least = squared.min(f64::from(f32::MAX)) * (1.0 - self.relative) - self.absolute;
        (least, squared * (1.0 + self.relative) + self.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_hold(pairs in prop::collection::vec((any::<f32>(), any::<f32>(), any::<bool>()), 1..150)) {
            let clean = |x: f32| if x.is_finite() { x } else { 1.0 };
            let a: Vec<f32> = pairs.iter().map(|p| clean(p.0)).collect();
            let near = |p: &(f32, f32, bool)| if p.2 { p.0 * 1.000_01 } else { p.1 };
            let b: Vec<f32> = pairs.iter().map(|p| clean(near(p))).collect();
            for simd in Simd::available() {
                let (least, most) = PairBounds::new(a.len()).of(simd, &a, &b);
                let exact = distance::squared(simd, &a, &b);
                prop_assert!(least <= exact && exact <= most, "{least} {exact} {most}");
            }
        }
    }
}
