//! Tiles with AVX2 and with AVX-512.

use super::{PANEL, TILE_ROWS, To};
use crate::bounds::RUN;
use crate::simd::x86::lowest8;
use std::arch::x86_64::{
    _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_min_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_min_ps, _mm512_reduce_min_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

// The sums are variables of their own: in an array the compiler stores them at every step.
macro_rules! tile_512 {
    ($rows:ident, $panel:ident, $base:ident, $to:ident, $($row:tt $low:ident $high:ident)*) => {{
        let (depth, stride) = ($panel.len(), $rows.len() / TILE_ROWS);
        // SAFETY: k < depth ≤ stride and `rows` holds TILE_ROWS·stride values; the loads and stores are of the two
        // halves of arrays of 32 values, at places below the lengths of `to`, all checked by the caller.
        unsafe {
            $(
                let mut $low = _mm512_loadu_ps($base.as_ptr());
                let mut $high = _mm512_loadu_ps($base.as_ptr().add(16));
            )*
            for start in (0..depth).step_by(RUN) {
                let before = ($(($low, $high),)*);
                $(($low, $high) = (_mm512_setzero_ps(), _mm512_setzero_ps());)*
                for k in start..(start + RUN).min(depth) {
                    let values = $panel.get_unchecked(k).as_ptr();
                    let (left, right) = (_mm512_loadu_ps(values), _mm512_loadu_ps(values.add(16)));
                    $(
                        let value = _mm512_set1_ps(*$rows.get_unchecked($row * stride + k));
                        $low = _mm512_fmadd_ps(value, left, $low);
                        $high = _mm512_fmadd_ps(value, right, $high);
                    )*
                }
                $(
                    $low = _mm512_add_ps($low, before.$row.0);
                    $high = _mm512_add_ps($high, before.$row.1);
                )*
            }
            $(
                let out = $to.values.get_unchecked_mut($row * $to.step).as_mut_ptr();
                _mm512_storeu_ps(out, $low);
                _mm512_storeu_ps(out.add(16), $high);
                *$to.lowest.get_unchecked_mut($row * $to.step) = _mm512_reduce_min_ps(_mm512_min_ps($low, $high));
            )*
        }
    }};
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[allow(clippy::needless_pass_by_value)] // it is written through
pub fn tile_512(rows: &[f32], panel: &[[f32; PANEL]], base: &[f32; PANEL], to: To<'_>) {
    tile_512!(rows, panel, base, to, 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3 4 a4 b4 5 a5 b5 6 a6 b6 7 a7 b7);
}

macro_rules! tile_256 {
    ($rows:ident, $stride:ident, $panel:ident, $base:ident, $to:ident, $first:ident, $column:ident,
     $($row:tt $low:ident $high:ident)*) => {{
        let depth = $panel.len();
        // SAFETY: k < depth ≤ stride, first + row < TILE_ROWS and `rows` holds TILE_ROWS·stride values; the loads and
        // stores are of 16 values from `column` ≤ 16 on of arrays of 32, at places below the lengths of `to`,
        // all checked by the caller.
        unsafe {
            $(
                let mut $low = _mm256_loadu_ps($base.as_ptr().add($column));
                let mut $high = _mm256_loadu_ps($base.as_ptr().add($column + 8));
            )*
            for start in (0..depth).step_by(RUN) {
                let before = ($(($low, $high),)*);
                $(($low, $high) = (_mm256_setzero_ps(), _mm256_setzero_ps());)*
                for k in start..(start + RUN).min(depth) {
                    let values = $panel.get_unchecked(k).as_ptr().add($column);
                    let (left, right) = (_mm256_loadu_ps(values), _mm256_loadu_ps(values.add(8)));
                    $(
                        let value = _mm256_set1_ps(*$rows.get_unchecked(($first + $row) * $stride + k));
                        $low = _mm256_fmadd_ps(value, left, $low);
                        $high = _mm256_fmadd_ps(value, right, $high);
                    )*
                }
                $(
                    $low = _mm256_add_ps($low, before.$row.0);
                    $high = _mm256_add_ps($high, before.$row.1);
                )*
            }
            $(
                let place = ($first + $row) * $to.step;
                let out = $to.values.get_unchecked_mut(place).as_mut_ptr().add($column);
                _mm256_storeu_ps(out, $low);
                _mm256_storeu_ps(out.add(8), $high);
                let both = _mm256_min_ps($low, $high);
                let one = lowest8(both);
                let lowest = $to.lowest.get_unchecked_mut(place);
                *lowest = if $column == 0 { one } else { lowest.min(one) };
            )*
        }
    }};
}

#[target_feature(enable = "avx2,fma")]
#[allow(clippy::needless_pass_by_value)] // it is written through
pub fn tile_256(rows: &[f32], panel: &[[f32; PANEL]], base: &[f32; PANEL], to: To<'_>) {
    let stride = rows.len() / TILE_ROWS;
    for first in [0, TILE_ROWS / 2] {
        for column in [0, PANEL / 2] {
            tile_256!(rows, stride, panel, base, to, first, column, 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3);
        }
    }
}
