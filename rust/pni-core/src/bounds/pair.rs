//! One pair of rows, or one row and the mean, in float32, with bounds on what rounding did.

use crate::bounds::UNIT;
use crate::simd::lanes::Isa;
use crate::simd::multiversion;

/// Sums of the float32 distance.
const SUMS: usize = 64;

/// a·b + c, fused where the level can.
#[inline(always)]
pub fn fused<I: Isa>(a: f32, b: f32, c: f32) -> f32 {
    if I::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The lanes added in one fixed tree.
#[inline(always)]
fn total(mut sums: [f32; SUMS]) -> f32 {
    let mut half = SUMS / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

#[inline(always)]
fn difference_body<I: Isa>(_: I, a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<SUMS>();
    let (b_blocks, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [0.0f32; SUMS];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..SUMS {
            let difference = x[i] - y[i];
            sums[i] = fused::<I>(difference, difference, sums[i]);
        }
    }
    for (i, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        let difference = x - y;
        sums[i] = fused::<I>(difference, difference, sums[i]);
    }
    total(sums)
}

multiversion! {
    /// The squared distance in float32; off by at most a factor of 1 ± [`relative_error`] and by
    /// [`absolute_error`], or infinity.
    fn difference(a: &[f32], b: &[f32]) -> f32 = difference_body
}

/// Relative error of [`difference`]: every difference, square and sum is of one sign and rounded once.
fn relative_error(columns: usize) -> f64 {
    (columns.div_ceil(SUMS) + 16) as f64 * UNIT
}

/// Bounds on a squared distance, canonical or exact, from one pass in float32.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    relative: f64,
    absolute: f64,
}

impl Bounds {
    /// For rows of so many columns.
    pub fn new(columns: usize) -> Self {
        Self {
            relative: relative_error(columns),
            // A square or sum that underflows is off by less than the smallest normal number.
            absolute: columns as f64 * f64::from(f32::MIN_POSITIVE),
        }
    }

    /// The least and the most that the squared distance of `a` and `b` can be.
    #[inline]
    pub fn of(&self, simd: crate::Simd, a: &[f32], b: &[f32]) -> (f64, f64) {
        let squared = f64::from(difference(simd, a, b));
        let least = squared.min(f64::from(f32::MAX)) * (1.0 - self.relative) - self.absolute;
        (least, squared * (1.0 + self.relative) + self.absolute)
    }
}

#[inline(always)]
fn center_body<I: Isa>(_: I, row: &[f32], mean: &[f32], scale: f32, out: &mut [f32]) -> f32 {
    let (row, row_rest) = row.as_chunks::<SUMS>();
    let (mean, mean_rest) = mean.as_chunks::<SUMS>();
    let (out, out_rest) = out.as_chunks_mut::<SUMS>();
    let mut sums = [0.0f32; SUMS];
    for ((row, mean), out) in row.iter().zip(mean).zip(out) {
        for i in 0..SUMS {
            let value = row[i] * scale - mean[i];
            out[i] = value;
            sums[i] = fused::<I>(value, value, sums[i]);
        }
    }
    for (i, ((row, mean), out)) in row_rest.iter().zip(mean_rest).zip(out_rest).enumerate() {
        let value = row * scale - mean;
        *out = value;
        sums[i] = fused::<I>(value, value, sums[i]);
    }
    total(sums)
}

multiversion! {
    /// Writes `row`·`scale` − `mean` and returns its squared length, off by at most [`norm_error`].
    pub fn center(row: &[f32], mean: &[f32], scale: f32, out: &mut [f32]) -> f32 = center_body
}

/// Relative error of the squared length that [`center`] returns.
pub fn norm_error(columns: usize) -> f64 {
    relative_error(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simd;
    use crate::distance::squared;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_hold(pairs in prop::collection::vec((any::<f32>(), any::<f32>(), any::<bool>()), 1..150)) {
            let clean = |x: f32| if x.is_finite() { x } else { 1.0 };
            let a: Vec<f32> = pairs.iter().map(|p| clean(p.0)).collect();
            let near = |p: &(f32, f32, bool)| if p.2 { p.0 * 1.000_01 } else { p.1 };
            let b: Vec<f32> = pairs.iter().map(|p| clean(near(p))).collect();
            for simd in Simd::available() {
                let (least, most) = Bounds::new(a.len()).of(simd, &a, &b);
                let exact = squared(simd, &a, &b);
                prop_assert!(least <= exact && exact <= most, "{least} {exact} {most}");
            }
        }
    }
}
