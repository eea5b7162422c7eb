//! Sixteen lanes of arithmetic, as every SIMD level offers it.

/// Lanes.
pub const LANES: usize = 16;

/// A SIMD level as a value: having one proves that its instructions may be used. Operations on float64 are the
/// canonical ones: the same bits at every level. Those on float32 may differ between levels (fused or not).
pub trait Isa: Copy {
    /// Whether [`Isa::mul_add`] is one instruction, rounded once.
    const FUSED: bool = true;
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
    /// a·b + c, fused where the level can.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The sum of all lanes.
    fn sum(self, a: Self::F) -> f32;
    /// A bit for each lane where a > b; not where either is NaN.
    fn above(self, a: Self::F, b: Self::F) -> u32;

    fn zero_int(self) -> Self::I;
    /// To each lane, the products of its own four `bytes` with the same `four` values; exact.
    fn dot(self, sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I;
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

/// Plain Rust, for any machine; `FMA` where fused multiply-add is always there (aarch64).
#[derive(Clone, Copy)]
pub struct Portable<const FMA: bool>;

impl<const FMA: bool> Isa for Portable<FMA> {
    const FUSED: bool = FMA;
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
    fn mul_add(self, a: Self::F, b: Self::F, mut c: Self::F) -> Self::F {
        for ((a, b), c) in a.iter().zip(b).zip(&mut c) {
            *c = if FMA { a.mul_add(b, *c) } else { a * b + *c };
        }
        c
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
