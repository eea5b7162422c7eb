//! Values as whole numbers of units, a byte each.
//!
//! A value becomes a number of units around an origin, cut off at −63 and 63. Cutting off moves no two rows apart (it
//! is a projection onto a box), so units may be fine; what rounding leaves is measured, in units.

use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Units from the origin, at most: so few that products of two bytes can be added up in 16 bits (BOUNDS.md, *Bytes*).
pub const REACH: i8 = 63;

/// What makes a signed byte unsigned.
pub const OFFSET: i8 = REACH + 1;

/// What rounding takes from the root of a sum of squares, relative, beside a rounding for every 16 values; and more
/// (BOUNDS.md, *Bytes*).
const SUM_ROUNDING: f32 = 1e-5;

/// What rounding makes of a value in units, relative: its difference from the origin and the product, twice over
/// (BOUNDS.md, *Bytes*).
const UNIT_ROUNDING: f32 = 4e-7;

/// More than the root of a sum of squares loses to underflow, in units (BOUNDS.md, *Bytes*).
const UNDERFLOW: f32 = 1e-15;

/// |q|² of some bytes.
pub fn norm(bytes: &[i8]) -> i32 {
    bytes.iter().fold(0, |sum, q| sum + i32::from(*q) * i32::from(*q))
}

/// |q|² + 2·[`OFFSET`]·Σq: with the norm of other bytes, and less twice their product once [`OFFSET`] is added to them, the
/// squared distance to those. At most 12,033 a byte.
pub fn offset_norm(bytes: &[i8]) -> i32 {
    bytes.iter().fold(0, |sum, q| {
        sum + i32::from(*q) * (i32::from(*q) + 2 * i32::from(OFFSET))
    })
}

/// Squared distances, in units, of some bytes to sixteen others: `products` with theirs, the others' [`norm`]s, and the bytes'
/// own [`offset_norm`]. Whole numbers, exact in float32 up to 2²⁴.
#[inline(always)]
pub fn squared_units<I: Isa>(isa: I, products: I::I, norms: I::F, own: I::F) -> I::F {
    isa.mul_add(isa.to_float(products), isa.splat(-2.0), isa.add(norms, own))
}

/// Sixteen values; adds the squares of what rounding leaves, and of the units, to `sums`.
#[inline(always)]
fn quantize_block<I: Isa>(
    isa: I,
    values: &[f32; LANES],
    origin: &[f32; LANES],
    scale: f32,
    out: &mut [i8; LANES],
    sums: &mut [I::F; 2],
) {
    let most = f32::from(REACH);
    let mut units = [0.0f32; LANES];
    for ((unit, value), origin) in units.iter_mut().zip(values).zip(origin) {
        // `clamp` would keep NaN; f32::max gives −63.
        #[allow(clippy::manual_clamp)]
        let cut = ((value - origin) * scale).max(-most).min(most);
        *unit = cut;
    }
    let whole = units.map(f32::round_ties_even);
    for (out, whole) in out.iter_mut().zip(whole) {
        // SAFETY: `whole` is from −63 to 63.
        *out = unsafe { whole.to_int_unchecked::<i32>() } as i8;
    }
    let units = isa.load(&units);
    let gap = isa.sub(units, isa.load(&whole));
    sums[0] = isa.mul_add(gap, gap, sums[0]);
    sums[1] = isa.mul_add(units, units, sums[1]);
}

#[inline(always)]
fn quantize_body<I: Isa>(isa: I, values: &[f32], origin: &[f32], scale: f32, out: &mut [i8]) -> f32 {
    let mut sums = [isa.splat(0.0); 2];
    let (blocks, rest) = values.as_chunks::<LANES>();
    let (origins, last) = origin.as_chunks::<LANES>();
    let (bytes, tail) = out[..values.len()].as_chunks_mut::<LANES>();
    for ((values, origin), out) in blocks.iter().zip(origins).zip(bytes) {
        quantize_block(isa, values, origin, scale, out, &mut sums);
    }
    if !rest.is_empty() {
        let (mut padded, mut around, mut bytes) = ([0.0; LANES], [0.0; LANES], [0; LANES]);
        padded[..rest.len()].copy_from_slice(rest);
        around[..rest.len()].copy_from_slice(&last[..rest.len()]);
        quantize_block(isa, &padded, &around, scale, &mut bytes, &mut sums);
        tail[..rest.len()].copy_from_slice(&bytes[..rest.len()]);
    }
    let [missed, length] = sums.map(|sum| isa.sum(sum));
    let relative = SUM_ROUNDING + values.len() as f32 / LANES as f32 * f32::EPSILON;
    (missed.sqrt() + length.sqrt() * UNIT_ROUNDING) * (1.0 + relative) + UNDERFLOW
}

multiversion! {
    /// Writes the bytes of as many `values`, `scale` units to one and counted from `origin`. Returns at least the distance,
    /// in units, from the values (cut off) to the bytes.
    pub fn quantize(values: &[f32], origin: &[f32], scale: f32, out: &mut [i8]) -> f32 = quantize_body
}
