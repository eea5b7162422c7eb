//! The canonical squared distance, on which alone anything is decided.
//!
//! Differences, squares and sums are float64 of the float32 input. Element `i` is added to lane `i % 16`, the
//! lanes are added in one fixed tree, and nothing is fused; so every SIMD level gives the same bits, and
//! `d(a, b)` and `d(b, a)` are equal. float32 differences square to less than 5e77, so nothing overflows.

use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Rows up to this length are not worth a vector.
const SHORT: usize = 4;

/// The canonical squared distance of short rows: what the lanes' tree makes of their first four.
#[inline(always)]
fn short(a: &[f32], b: &[f32]) -> f64 {
    let mut squares = [0.0; SHORT];
    for ((square, a), b) in squares.iter_mut().zip(a).zip(b) {
        let difference = f64::from(*a) - f64::from(*b);
        *square = difference * difference;
    }
    (squares[0] + squares[2]) + (squares[1] + squares[3])
}

#[inline(always)]
pub(crate) fn squared_body<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f64 {
    if a.len() <= SHORT { short(a, b) } else { long(isa, a, b) }
}

#[inline(always)]
fn long<I: Isa>(isa: I, a: &[f32], b: &[f32]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = isa.zero();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        sums = isa.add_square(sums, isa.load(x), isa.load(y));
    }
    if !a_rest.is_empty() {
        sums = isa.add_square(sums, isa.load_part(a_rest), isa.load_part(b_rest));
    }
    isa.fold(sums)
}

multiversion! {
    /// The canonical squared distance of two rows of equal length.
    pub fn squared(a: &[f32], b: &[f32]) -> f64 = squared_body
}

#[inline(always)]
fn squared_within_body<I: Isa>(isa: I, a: &[f32], b: &[f32], limit: f64) -> f64 {
    /// Blocks between two looks at the limit.
    const BLOCKS: usize = 8;
    if a.len() <= SHORT {
        return short(a, b);
    }
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = isa.zero();
    for (x_part, y_part) in a_blocks.chunks(BLOCKS).zip(b_blocks.chunks(BLOCKS)) {
        for (x, y) in x_part.iter().zip(y_part) {
            sums = isa.add_square(sums, isa.load(x), isa.load(y));
        }
        // Adding what is not negative never lowers a rounded sum, so a part beyond the limit decides.
        let so_far = isa.fold(sums);
        if so_far > limit {
            return so_far;
        }
    }
    if !a_rest.is_empty() {
        sums = isa.add_square(sums, isa.load_part(a_rest), isa.load_part(b_rest));
    }
    isa.fold(sums)
}

multiversion! {
    /// The canonical squared distance where it is at most `limit`; else some value above `limit`.
    pub fn squared_within(a: &[f32], b: &[f32], limit: f64) -> f64 = squared_within_body
}

#[inline(always)]
fn closest_body<I: Isa>(isa: I, row: &[f32], centers: &[f32], first: usize, best: &mut (f64, usize)) {
    for (i, center) in centers.chunks_exact(row.len()).enumerate() {
        let distance = squared_body(isa, row, center);
        if distance < best.0 {
            *best = (distance, first + i);
        }
    }
}

multiversion! {
    /// Lowers `best` = (squared distance, index) to the nearest of `centers` (whole rows, numbered from `first`).
    /// An equal distance leaves it: ascending calls keep the lowest index.
    pub fn closest(row: &[f32], centers: &[f32], first: usize, best: &mut (f64, usize)) = closest_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Simd;
    use crate::simd::lanes::Portable;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_gives_the_same_bits(
            pairs in prop_oneof![
                prop::collection::vec((any::<f32>(), any::<f32>()), 1..8),
                prop::collection::vec((any::<f32>(), any::<f32>()), 1..400),
            ]
        ) {
            let clean = |x: f32| if x.is_finite() { x } else { 1.0 };
            let a: Vec<f32> = pairs.iter().map(|p| clean(p.0)).collect();
            let b: Vec<f32> = pairs.iter().map(|p| clean(p.1)).collect();
            let expected = long(Portable, &a, &b).to_bits();
            for simd in Simd::available() {
                prop_assert_eq!(squared(simd, &a, &b).to_bits(), expected);
                prop_assert_eq!(squared(simd, &b, &a).to_bits(), expected);
                let distance = f64::from_bits(expected);
                prop_assert_eq!(squared_within(simd, &a, &b, distance).to_bits(), expected);
                let limit = distance / 2.0;
                prop_assert!(distance <= limit || squared_within(simd, &a, &b, limit) > limit);
            }
        }
    }

    #[test]
    fn the_largest_float32_do_not_overflow() {
        let (a, b) = ([f32::MAX; 40], [-f32::MAX; 40]);
        assert!(squared(Simd::best(), &a, &b).is_finite());
    }
}
