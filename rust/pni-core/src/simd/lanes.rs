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
mod tests {
    use super::*;
    use crate::Simd;
    use crate::simd::multiversion;

    /// What every operation makes of two vectors of lanes.
    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        exact: Vec<[f32; LANES]>,
        fused: [f32; LANES],
        sum: f32,
        above: u32,
        fold: u64,
    }

    #[inline(always)]
    fn see_body<I: Isa>(isa: I, a: &[f32; LANES], b: &[f32; LANES], seen: &mut Seen) {
        let (x, y) = (isa.load(a), isa.load(b));
        for value in [isa.splat(a[3]), isa.add(x, y), isa.sub(x, y), isa.load_part(&a[..5])] {
            seen.exact.push([0.0; LANES]);
            isa.store(value, seen.exact.last_mut().expect("just pushed"));
        }
        isa.store(isa.mul_add(x, y, y), &mut seen.fused);
        if b.iter().all(|b| !b.is_nan()) {
            seen.exact.push([0.0; LANES]);
            isa.store(isa.min(x, y), seen.exact.last_mut().expect("just pushed"));
        }
        assert_eq!(isa.lowest(x), a.iter().copied().fold(f32::INFINITY, f32::min));
        for bits in [0, 1, 0x8001, 0xffff, 0x1_5a5a] {
            let mut numbers = [0; LANES];
            let count = isa.numbers(bits, 7, &mut numbers);
            let by_hand: Vec<u32> = (0..16).filter(|i| bits >> i & 1 == 1).map(|i| 7 + i).collect();
            assert_eq!(numbers[..count], by_hand);
        }
        seen.sum = isa.sum(x);
        seen.above = isa.above(x, y);
        seen.fold = isa
            .fold(isa.add_square(isa.add_square(isa.zero(), x, y), y, isa.splat(0.5)))
            .to_bits();
        let byte = |x: f32| x.clamp(-63.0, 63.0) as i8;
        let (a, b): ([i8; 64], [i8; 64]) = (
            std::array::from_fn(|i| if i == 0 { 63 } else { byte(a[i % 16] + i as f32) }),
            std::array::from_fn(|i| if i == 0 { -63 } else { byte(b[(i + 3) % 16]) }),
        );
        let sums = isa.add_byte_squares(isa.add_byte_squares(isa.zero_int(), &a, &b), &b, &[63; 64]);
        let by_hand = |a: &[i8], b: &[i8]| -> i32 {
            let square = |(a, b): (&i8, &i8)| (i32::from(*a) - i32::from(*b)).pow(2);
            a.iter().zip(b).map(square).sum()
        };
        assert_eq!(
            isa.sum(isa.to_float(sums)),
            (by_hand(&a, &b) + by_hand(&b, &[63; 64])) as f32
        );
    }

    multiversion! {
        fn see(a: &[f32; LANES], b: &[f32; LANES], seen: &mut Seen) = see_body
    }

    #[test]
    fn every_operation_does_what_its_name_says() {
        // Sums of these round, so that another order of the canonical ones would show.
        let a: [f32; LANES] = std::array::from_fn(|i| (i as f32 * 1.7).sin() * 10f32.powi(i as i32 % 5));
        let mut b: [f32; LANES] = std::array::from_fn(|i| (i as f32 * 0.9).cos() * 100.0);
        b[6] = a[6];
        b[9] = f32::NAN;
        for (b, nan) in [(b, true), (b.map(|x| if x.is_nan() { 7.25 } else { x }), false)] {
            let mut plain = Seen::default();
            see_body(Portable, &a, &b, &mut plain);
            let by_hand = (0..LANES).filter(|i| a[*i] > b[*i]).fold(0, |bits, i| bits | 1 << i);
            assert_eq!(plain.above, by_hand);
            for simd in Simd::available() {
                let mut seen = Seen::default();
                see(simd, &a, &b, &mut seen);
                assert_eq!(seen.above, by_hand, "{simd}");
                assert!((seen.sum - a.iter().sum::<f32>()).abs() < 1.0, "{simd}");
                for i in 0..LANES {
                    let expected = f64::from(a[i]) * f64::from(b[i]) + f64::from(b[i]);
                    let error = (f64::from(seen.fused[i]) - expected).abs();
                    assert!(b[i].is_nan() || error <= expected.abs() * 1e-5, "{simd} {i} {error}");
                }
                if !nan {
                    assert_eq!((&seen.exact, seen.fold), (&plain.exact, plain.fold), "{simd}");
                }
            }
        }
    }
}
