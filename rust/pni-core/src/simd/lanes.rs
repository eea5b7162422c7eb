//! Sixteen lanes of arithmetic, as every SIMD level offers it.

use crate::memory;

/// Lanes.
pub const LANES: usize = 16;

/// A SIMD level as a value: having one proves that its instructions may be used. Operations on float64 are the
/// canonical ones: the same bits at every level. Those on float32 may differ between levels (fused or not).
pub trait Isa: Copy {
    /// Whether sixteen lanes fit in one register.
    const ONE_REGISTER: bool = false;
    /// Sixteen float32.
    type F: Copy;
    /// Sixteen float64.
    type D: Copy;
    /// Sixteen int32.
    type I: Copy;

    fn load(self, values: &[f32; LANES]) -> Self::F;
    fn store(self, values: Self::F, to: &mut [f32; LANES]);
    fn splat(self, value: f32) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// The lower of each two; neither is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// a·b + c, fused where the level can.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The lowest of all lanes; none is NaN.
    fn lowest(self, a: Self::F) -> f32;
    /// The sum of all lanes.
    fn sum(self, a: Self::F) -> f32;
    /// A bit for each lane where a > b; not where either is NaN.
    fn above(self, a: Self::F, b: Self::F) -> u32;

    /// Writes the numbers of the lanes whose bit is set, counted from `first`, one after the other; returns how many. What
    /// follows them in `to` means nothing.
    #[inline(always)]
    fn numbers(self, bits: u32, first: u32, to: &mut [u32; LANES]) -> usize {
        let (mut left, mut count) = (bits & 0xffff, 0);
        while left != 0 {
            to[count] = first + left.trailing_zeros();
            count += 1;
            left &= left - 1;
        }
        count
    }

    /// Adds the same to a list.
    #[inline(always)]
    fn add_numbers(self, bits: u32, first: u32, to: &mut Vec<u32>) {
        let start = to.len();
        memory::resize(to, start + LANES, 0);
        if let Some(place) = to[start..].first_chunk_mut() {
            let count = self.numbers(bits, first, place);
            to.truncate(start + count);
        }
    }

    fn zero_int(self) -> Self::I;
    /// To each lane, the products of its own four `bytes` (at most 127) with the same `four` values (−63 to 63); exact.
    fn dot(self, sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I;
    /// The same for two times four bytes: two products of each lane's fit in 16 bits.
    #[inline(always)]
    fn dot_two(self, sums: Self::I, bytes: &[[u8; 4 * LANES]; 2], fours: [[i8; 4]; 2]) -> Self::I {
        self.dot(self.dot(sums, &bytes[0], fours[0]), &bytes[1], fours[1])
    }
    /// To the lanes, together, the squares of the differences of `a` and `b` (−63 to 63); exact.
    fn add_byte_squares(self, sums: Self::I, a: &[i8; 4 * LANES], b: &[i8; 4 * LANES]) -> Self::I;
    fn to_float(self, values: Self::I) -> Self::F;

    fn zero(self) -> Self::D;
    /// sums + (a − b)², differences and squares in float64, nothing fused.
    fn add_square(self, sums: Self::D, a: Self::F, b: Self::F) -> Self::D;
    /// Lane i plus lane i + 8 for the first eight, then by 4, 2 and 1.
    fn fold(self, sums: Self::D) -> f64;

    /// Fewer than sixteen values; the other lanes are 0.
    #[inline(always)]
    fn load_part(self, values: &[f32]) -> Self::F {
        let mut padded = [0.0; LANES];
        padded[..values.len()].copy_from_slice(values);
        self.load(&padded)
    }
}

/// Plain Rust, for any machine.
#[derive(Clone, Copy)]
pub struct Portable;

impl Isa for Portable {
    type F = [f32; LANES];
    type D = [f64; LANES];
    type I = [i32; LANES];

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F {
        *values
    }

    #[inline(always)]
    fn store(self, values: Self::F, to: &mut [f32; LANES]) {
        *to = values;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, mut a: Self::F, b: Self::F) -> Self::F {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    }

    #[inline(always)]
    fn sub(self, mut a: Self::F, b: Self::F) -> Self::F {
        a.iter_mut().zip(b).for_each(|(a, b)| *a -= b);
        a
    }

    #[inline(always)]
    fn min(self, mut a: Self::F, b: Self::F) -> Self::F {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = a.min(b));
        a
    }

    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, mut c: Self::F) -> Self::F {
        for ((a, b), c) in a.iter().zip(b).zip(&mut c) {
            *c += a * b;
        }
        c
    }

    #[inline(always)]
    fn lowest(self, a: Self::F) -> f32 {
        a.into_iter().fold(f32::INFINITY, f32::min)
    }

    #[inline(always)]
    fn sum(self, mut a: Self::F) -> f32 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] += a[i + half];
            }
        }
        a[0]
    }

    #[inline(always)]
    fn above(self, a: Self::F, b: Self::F) -> u32 {
        a.iter()
            .zip(b)
            .enumerate()
            .fold(0, |bits, (i, (a, b))| bits | u32::from(*a > b) << i)
    }

    #[inline(always)]
    fn zero_int(self) -> Self::I {
        [0; LANES]
    }

    #[inline(always)]
    fn dot(self, mut sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I {
        let (lanes, _) = bytes.as_chunks::<4>();
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            for (a, b) in lane.iter().zip(four) {
                *sum += i32::from(*a) * i32::from(b);
            }
        }
        sums
    }

    #[inline(always)]
    fn add_byte_squares(self, mut sums: Self::I, a: &[i8; 4 * LANES], b: &[i8; 4 * LANES]) -> Self::I {
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            let difference = i32::from(*a) - i32::from(*b);
            sums[i / 4] += difference * difference;
        }
        sums
    }

    #[inline(always)]
    fn to_float(self, values: Self::I) -> Self::F {
        values.map(|value| value as f32)
    }

    #[inline(always)]
    fn zero(self) -> Self::D {
        [0.0; LANES]
    }

    #[inline(always)]
    fn add_square(self, mut sums: Self::D, a: Self::F, b: Self::F) -> Self::D {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            let difference = f64::from(a) - f64::from(b);
            *sum += difference * difference;
        }
        sums
    }

    #[inline(always)]
    fn fold(self, mut sums: Self::D) -> f64 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
        }
        sums[0]
    }
}

#[cfg(test)]
mod tests;
