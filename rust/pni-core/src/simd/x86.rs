//! Sixteen lanes with AVX2 and with AVX-512.

use super::lanes::{Isa, LANES};
#[allow(clippy::wildcard_imports)] // the intrinsics
use std::arch::x86_64::*;

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// AVX-512 F, BW, DQ, VL and VNNI, and what is in [`Avx2`].
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx2 {
    /// # Safety
    /// The CPU has AVX2 and FMA.
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self(())
    }
}

impl Avx512 {
    /// # Safety
    /// The CPU has AVX-512 F, BW, DQ, VL and VNNI, AVX2 and FMA.
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self(())
    }
}

/// The canonical fold of four lanes: i and i + 2, then the two that are left.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn fold4(sums: __m256d) -> f64 {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let pair = _mm_add_pd(_mm256_castpd256_pd128(sums), _mm256_extractf128_pd::<1>(sums));
        _mm_cvtsd_f64(pair) + _mm_cvtsd_f64(_mm_unpackhi_pd(pair, pair))
    }
}

/// The sum of eight lanes.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn sum8(values: __m256) -> f32 {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps::<1>(values));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

/// The lowest of eight lanes.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub unsafe fn lowest8(values: __m256) -> f32 {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let four = _mm_min_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps::<1>(values));
        let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)))
    }
}

/// The same four bytes in every lane.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn four_bytes(four: [i8; 4]) -> __m256i {
    // SAFETY: the caller vouches for AVX2.
    unsafe { _mm256_set1_epi32(i32::from_ne_bytes(four.map(|x| x as u8))) }
}

/// Implements methods whose bodies need nothing but the token's features.
macro_rules! with_features {
    ($(fn $name:ident($self:ident $(, $arg:ident: $type:ty)*) $(-> $ret:ty)? $body:block)*) => {
        $(
            #[inline(always)]
            fn $name($self $(, $arg: $type)*) $(-> $ret)? {
                // SAFETY: the token exists only where the CPU has its features; pointers come from references to
                // arrays of the length that is read or written.
                unsafe { $body }
            }
        )*
    };
}

impl Isa for Avx2 {
    type F = [__m256; 2];
    type D = [__m256d; 4];
    type I = [__m256i; 2];

    with_features! {
        fn load(self, values: &[f32; LANES]) -> Self::F {
            [_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))]
        }
        fn store(self, values: Self::F, to: &mut [f32; LANES]) {
            _mm256_storeu_ps(to.as_mut_ptr(), values[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), values[1]);
        }
        fn splat(self, value: f32) -> Self::F {
            [_mm256_set1_ps(value); 2]
        }
        fn add(self, a: Self::F, b: Self::F) -> Self::F {
            [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
        }
        fn sub(self, a: Self::F, b: Self::F) -> Self::F {
            [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
        }
        fn min(self, a: Self::F, b: Self::F) -> Self::F {
            [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])]
        }
        fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
        }
        fn lowest(self, a: Self::F) -> f32 {
            lowest8(_mm256_min_ps(a[0], a[1]))
        }
        fn sum(self, a: Self::F) -> f32 {
            sum8(_mm256_add_ps(a[0], a[1]))
        }
        fn above(self, a: Self::F, b: Self::F) -> u32 {
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1]));
            (low | high << 8) as u32
        }
        fn zero_int(self) -> Self::I {
            [_mm256_setzero_si256(); 2]
        }
        fn dot(self, sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I {
            let (four, ones) = (four_bytes(four), _mm256_set1_epi16(1));
            let mut sums = sums;
            for (i, sum) in sums.iter_mut().enumerate() {
                let pairs = _mm256_maddubs_epi16(_mm256_loadu_si256(bytes.as_ptr().add(32 * i).cast()), four);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
            sums
        }
        fn dot_two(self, sums: Self::I, bytes: &[[u8; 4 * LANES]; 2], fours: [[i8; 4]; 2]) -> Self::I {
            let (first, second, ones) = (four_bytes(fours[0]), four_bytes(fours[1]), _mm256_set1_epi16(1));
            let mut sums = sums;
            for (i, sum) in sums.iter_mut().enumerate() {
                // 4 · 127 · 63 is below 2¹⁵.
                let a = _mm256_maddubs_epi16(_mm256_loadu_si256(bytes[0].as_ptr().add(32 * i).cast()), first);
                let b = _mm256_maddubs_epi16(_mm256_loadu_si256(bytes[1].as_ptr().add(32 * i).cast()), second);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
            }
            sums
        }
        fn add_byte_squares(self, sums: Self::I, a: &[i8; 4 * LANES], b: &[i8; 4 * LANES]) -> Self::I {
            let ones = _mm256_set1_epi16(1);
            let mut sums = sums;
            for (i, sum) in sums.iter_mut().enumerate() {
                let a = _mm256_loadu_si256(a.as_ptr().add(32 * i).cast());
                let b = _mm256_loadu_si256(b.as_ptr().add(32 * i).cast());
                // At most 126; 2 · 126 · 126 is below 2¹⁵.
                let apart = _mm256_abs_epi8(_mm256_sub_epi8(a, b));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(apart, apart), ones));
            }
            sums
        }
        fn to_float(self, values: Self::I) -> Self::F {
            [_mm256_cvtepi32_ps(values[0]), _mm256_cvtepi32_ps(values[1])]
        }
        fn zero(self) -> Self::D {
            [_mm256_setzero_pd(); 4]
        }
        fn add_square(self, sums: Self::D, a: Self::F, b: Self::F) -> Self::D {
            let mut sums = sums;
            for i in 0..2 {
                let low = _mm256_sub_pd(
                    _mm256_cvtps_pd(_mm256_castps256_ps128(a[i])),
                    _mm256_cvtps_pd(_mm256_castps256_ps128(b[i])),
                );
                let high = _mm256_sub_pd(
                    _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a[i])),
                    _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(b[i])),
                );
                sums[2 * i] = _mm256_add_pd(sums[2 * i], _mm256_mul_pd(low, low));
                sums[2 * i + 1] = _mm256_add_pd(sums[2 * i + 1], _mm256_mul_pd(high, high));
            }
            sums
        }
        fn fold(self, sums: Self::D) -> f64 {
            let low = _mm256_add_pd(sums[0], sums[2]);
            let high = _mm256_add_pd(sums[1], sums[3]);
            fold4(_mm256_add_pd(low, high))
        }
    }

    #[inline(always)]
    fn load_part(self, values: &[f32]) -> Self::F {
        /// From the place of the number of lanes on, counted from the end: as many ones as lanes, then zeros.
        const MASK: [i32; 2 * LANES] = {
            let mut mask = [0; 2 * LANES];
            let mut i = 0;
            while i < LANES {
                mask[i] = -1;
                i += 1;
            }
            mask
        };
        let start = LANES - values.len().min(LANES);
        // SAFETY: the token vouches for the CPU; `start` leaves sixteen values of the mask, and lanes it has no one for are
        // not read.
        unsafe {
            let mask = MASK.as_ptr().add(start);
            let (low, high) = (_mm256_loadu_si256(mask.cast()), _mm256_loadu_si256(mask.add(8).cast()));
            let from = values.as_ptr();
            [
                _mm256_maskload_ps(from, low),
                _mm256_maskload_ps(from.wrapping_add(8), high),
            ]
        }
    }
}

impl Isa for Avx512 {
    const ONE_REGISTER: bool = true;
    type F = __m512;
    type D = [__m512d; 2];
    type I = __m512i;

    with_features! {
        fn load(self, values: &[f32; LANES]) -> Self::F {
            _mm512_loadu_ps(values.as_ptr())
        }
        fn store(self, values: Self::F, to: &mut [f32; LANES]) {
            _mm512_storeu_ps(to.as_mut_ptr(), values);
        }
        fn splat(self, value: f32) -> Self::F {
            _mm512_set1_ps(value)
        }
        fn add(self, a: Self::F, b: Self::F) -> Self::F {
            _mm512_add_ps(a, b)
        }
        fn sub(self, a: Self::F, b: Self::F) -> Self::F {
            _mm512_sub_ps(a, b)
        }
        fn min(self, a: Self::F, b: Self::F) -> Self::F {
            _mm512_min_ps(a, b)
        }
        fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            _mm512_fmadd_ps(a, b, c)
        }
        fn lowest(self, a: Self::F) -> f32 {
            lowest8(_mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)))
        }
        fn sum(self, a: Self::F) -> f32 {
            sum8(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)))
        }
        fn above(self, a: Self::F, b: Self::F) -> u32 {
            u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b))
        }
        fn numbers(self, bits: u32, first: u32, to: &mut [u32; LANES]) -> usize {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
            _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(bits as u16, numbers));
            (bits as u16).count_ones() as usize
        }
        fn zero_int(self) -> Self::I {
            _mm512_setzero_si512()
        }
        fn dot(self, sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I {
            let four = _mm512_set1_epi32(i32::from_ne_bytes(four.map(|x| x as u8)));
            _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(bytes.as_ptr().cast()), four)
        }
        fn add_byte_squares(self, sums: Self::I, a: &[i8; 4 * LANES], b: &[i8; 4 * LANES]) -> Self::I {
            let (a, b) = (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast()));
            let apart = _mm512_abs_epi8(_mm512_sub_epi8(a, b));
            _mm512_dpbusd_epi32(sums, apart, apart)
        }
        fn to_float(self, values: Self::I) -> Self::F {
            _mm512_cvtepi32_ps(values)
        }
        fn zero(self) -> Self::D {
            [_mm512_setzero_pd(); 2]
        }
        fn add_square(self, sums: Self::D, a: Self::F, b: Self::F) -> Self::D {
            let low = _mm512_sub_pd(
                _mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                _mm512_cvtps_pd(_mm512_castps512_ps256(b)),
            );
            let high = _mm512_sub_pd(
                _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(a)),
                _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(b)),
            );
            [
                _mm512_add_pd(sums[0], _mm512_mul_pd(low, low)),
                _mm512_add_pd(sums[1], _mm512_mul_pd(high, high)),
            ]
        }
        fn fold(self, sums: Self::D) -> f64 {
            let eight = _mm512_add_pd(sums[0], sums[1]);
            fold4(_mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight)))
        }
    }

    #[inline(always)]
    fn load_part(self, values: &[f32]) -> Self::F {
        let mask = (1u16 << values.len().min(LANES - 1)) - 1;
        // SAFETY: the token vouches for the CPU; lanes beyond the slice are masked out and not read.
        unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
    }
}
