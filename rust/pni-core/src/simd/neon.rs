//! Sixteen lanes with NEON, which every aarch64 CPU has.

use super::lanes::{Isa, LANES};
#[allow(clippy::wildcard_imports)] // the intrinsics
use std::arch::aarch64::*;

/// NEON; part of the aarch64 targets, so the token needs no proof.
#[derive(Clone, Copy)]
pub struct Neon;

/// Applies an operation to the four registers of sixteen float32.
macro_rules! each {
    ($operation:ident($($arg:ident),*)) => {
        [$operation($($arg[0]),*), $operation($($arg[1]),*), $operation($($arg[2]),*), $operation($($arg[3]),*)]
    };
}

/// Implements methods; NEON is enabled throughout these targets, so `unsafe` is about pointers alone.
macro_rules! with_neon {
    ($(fn $name:ident($self:ident $(, $arg:ident: $type:ty)*) $(-> $ret:ty)? $body:block)*) => {
        $(
            #[inline(always)]
            #[allow(unused_unsafe)] // intrinsics without pointers are safe here from Rust 1.87 on
            fn $name($self $(, $arg: $type)*) $(-> $ret)? {
                // SAFETY: pointers come from references to arrays of the length that is read or written.
                unsafe { $body }
            }
        )*
    };
}

impl Isa for Neon {
    type F = [float32x4_t; 4];
    type D = [float64x2_t; 8];
    type I = [int32x4_t; 4];

    with_neon! {
        fn load(self, values: &[f32; LANES]) -> Self::F {
            let from = values.as_ptr();
            [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))]
        }
        fn store(self, values: Self::F, to: &mut [f32; LANES]) {
            let to = to.as_mut_ptr();
            for (i, values) in values.into_iter().enumerate() {
                vst1q_f32(to.add(4 * i), values);
            }
        }
        fn splat(self, value: f32) -> Self::F {
            [vdupq_n_f32(value); 4]
        }
        fn add(self, a: Self::F, b: Self::F) -> Self::F {
            each!(vaddq_f32(a, b))
        }
        fn sub(self, a: Self::F, b: Self::F) -> Self::F {
            each!(vsubq_f32(a, b))
        }
        fn min(self, a: Self::F, b: Self::F) -> Self::F {
            each!(vminq_f32(a, b))
        }
        fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            each!(vfmaq_f32(c, a, b))
        }
        fn lowest(self, a: Self::F) -> f32 {
            vminvq_f32(vminq_f32(vminq_f32(a[0], a[1]), vminq_f32(a[2], a[3])))
        }
        fn sum(self, a: Self::F) -> f32 {
            vaddvq_f32(vaddq_f32(vaddq_f32(a[0], a[1]), vaddq_f32(a[2], a[3])))
        }
        fn above(self, a: Self::F, b: Self::F) -> u32 {
            const BITS: [u32; LANES] =
                [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768];
            let mut bits = 0;
            for (i, above) in each!(vcgtq_f32(a, b)).into_iter().enumerate() {
                bits += vaddvq_u32(vandq_u32(above, vld1q_u32(BITS.as_ptr().add(4 * i))));
            }
            bits
        }
        fn zero_int(self) -> Self::I {
            [vdupq_n_s32(0); 4]
        }
        fn dot(self, sums: Self::I, bytes: &[u8; 4 * LANES], four: [i8; 4]) -> Self::I {
            self.dot_two(sums, &[*bytes, [0; 4 * LANES]], [four, [0; 4]])
        }
        fn dot_two(self, sums: Self::I, bytes: &[[u8; 4 * LANES]; 2], fours: [[i8; 4]; 2]) -> Self::I {
            let fours = fours.map(|four| vreinterpretq_s8_s32(vdupq_n_s32(i32::from_ne_bytes(four.map(|x| x as u8)))));
            let mut sums = sums;
            for (i, sum) in sums.iter_mut().enumerate() {
                // Bytes of at most 127 are the same with a sign; 2 · 127 · 63 fits in 16 bits.
                let (a, b) = (bytes[0].as_ptr().add(16 * i).cast(), bytes[1].as_ptr().add(16 * i).cast());
                let (a, b) = (vld1q_s8(a), vld1q_s8(b));
                let low = vmull_s8(vget_low_s8(a), vget_low_s8(fours[0]));
                let low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(fours[1]));
                let high = vmlal_high_s8(vmull_high_s8(a, fours[0]), b, fours[1]);
                *sum = vaddq_s32(*sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
            }
            sums
        }
        fn add_byte_squares(self, sums: Self::I, a: &[i8; 4 * LANES], b: &[i8; 4 * LANES]) -> Self::I {
            let mut sums = sums;
            for (i, sum) in sums.iter_mut().enumerate() {
                // At most 126; 2 · 126 · 126 fits in 16 bits.
                let apart = vabdq_s8(vld1q_s8(a.as_ptr().add(16 * i)), vld1q_s8(b.as_ptr().add(16 * i)));
                let low = vmull_s8(vget_low_s8(apart), vget_low_s8(apart));
                *sum = vpadalq_s16(*sum, vmlal_high_s8(low, apart, apart));
            }
            sums
        }
        fn to_float(self, values: Self::I) -> Self::F {
            values.map(|value| vcvtq_f32_s32(value))
        }
        fn zero(self) -> Self::D {
            [vdupq_n_f64(0.0); 8]
        }
        fn add_square(self, sums: Self::D, a: Self::F, b: Self::F) -> Self::D {
            let mut sums = sums;
            for i in 0..4 {
                let low = vsubq_f64(vcvt_f64_f32(vget_low_f32(a[i])), vcvt_f64_f32(vget_low_f32(b[i])));
                let high = vsubq_f64(vcvt_high_f64_f32(a[i]), vcvt_high_f64_f32(b[i]));
                sums[2 * i] = vaddq_f64(sums[2 * i], vmulq_f64(low, low));
                sums[2 * i + 1] = vaddq_f64(sums[2 * i + 1], vmulq_f64(high, high));
            }
            sums
        }
        fn fold(self, sums: Self::D) -> f64 {
            // Registers hold two lanes: eight lanes apart are four registers apart.
            let a = vaddq_f64(vaddq_f64(sums[0], sums[4]), vaddq_f64(sums[2], sums[6]));
            let b = vaddq_f64(vaddq_f64(sums[1], sums[5]), vaddq_f64(sums[3], sums[7]));
            let pair = vaddq_f64(a, b);
            vgetq_lane_f64::<0>(pair) + vgetq_lane_f64::<1>(pair)
        }
    }
}
