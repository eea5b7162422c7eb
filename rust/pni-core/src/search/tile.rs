//! Register-tiled float32 products of a few rows with panels of columns. For bounds only.

use crate::Simd;
use std::ops::Range;

/// Columns of a panel.
pub const LANES: usize = 32;
/// Rows of a tile.
pub const GROUP: usize = 8;
/// Terms added up in one go before they join the total, which keeps the rounding error of long sums small.
pub const RUN: usize = 128;

/// Columns in groups of [`LANES`]: for each panel `depth` × [`LANES`] values, and one addend per column.
#[derive(Debug)]
pub struct Panels {
    depth: usize,
    values: Vec<[f32; LANES]>,
    base: Vec<[f32; LANES]>,
}

impl Panels {
    /// Panels for `columns` columns of `depth` values, all zero; the columns that only fill the last panel up
    /// have the addend `padding`.
    pub fn new(depth: usize, columns: usize, padding: f32) -> Self {
        let count = columns.div_ceil(LANES);
        let mut base = vec![[0.0; LANES]; count];
        if !columns.is_multiple_of(LANES) {
            base[count - 1][columns % LANES..].fill(padding);
        }
        Self {
            depth,
            values: vec![[0.0; LANES]; count * depth],
            base,
        }
    }

    /// Number of panels.
    pub fn count(&self) -> usize {
        self.base.len()
    }

    /// One panel after the other: its values and addends, to be filled.
    pub fn parts(&mut self) -> impl Iterator<Item = (&mut [[f32; LANES]], &mut [f32; LANES])> {
        self.values.chunks_exact_mut(self.depth).zip(&mut self.base)
    }
}

/// The largest factor by which a product of `depth` terms, in units of both lengths, can be off.
pub fn rounding(depth: usize) -> f64 {
    (RUN.min(depth) + depth.div_ceil(RUN) + 4) as f64 * super::UNIT
}

/// Rows of equal length, `stride` values apart; whole groups of [`GROUP`].
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The values, `stride` for each row.
    pub values: &'a [f32],
    /// Distance from row to row.
    pub stride: usize,
}

/// Values from row to row where rows of `width` are made for products. Rows a multiple of 4 KiB apart would fight
/// for the same places in the first cache.
pub fn stride(width: usize) -> usize {
    width + 16
}

/// Products, and the lowest of each row and panel.
#[derive(Debug, Default)]
pub struct Products {
    /// For each row one value a column, in panels.
    pub values: Vec<[f32; LANES]>,
    /// For each row the lowest of each panel.
    pub lowest: Vec<f32>,
}

/// For each of `rows` and each of the panels in `range` `out` = addend + row · column; `range.len()` panels a row.
/// `wanted`, one flag per group and panel of `range`, leaves out tiles; their part of `out` means nothing.
pub fn products(
    simd: Simd,
    rows: Rows<'_>,
    panels: &Panels,
    range: Range<usize>,
    wanted: Option<&[bool]>,
    out: &mut Products,
) {
    let (depth, count, stride) = (panels.depth, range.len(), rows.stride);
    let groups = rows.values.len() / stride / GROUP;
    assert!(depth <= stride && rows.values.len() == groups * GROUP * stride);
    assert!(wanted.is_none_or(|wanted| wanted.len() == groups * count));
    out.values.resize(groups * GROUP * count, [0.0; LANES]);
    out.lowest.resize(groups * GROUP * count, 0.0);
    for (place, panel) in range.enumerate() {
        let values = &panels.values[panel * depth..][..depth];
        for group in 0..groups {
            if wanted.is_some_and(|wanted| !wanted[group * count + place]) {
                continue;
            }
            let rows = &rows.values[group * GROUP * stride..][..GROUP * stride];
            let first = group * GROUP * count + place;
            let last = first + (GROUP - 1) * count;
            let to = To {
                values: &mut out.values[first..=last],
                lowest: &mut out.lowest[first..=last],
                step: count,
            };
            tile(simd, rows, values, &panels.base[panel], to);
        }
    }
}

/// Where a tile goes: row `i` to place `i`·`step` of slices that end with the last row's.
struct To<'a> {
    values: &'a mut [[f32; LANES]],
    lowest: &'a mut [f32],
    step: usize,
}

#[inline]
fn tile(simd: Simd, rows: &[f32], panel: &[[f32; LANES]], base: &[f32; LANES], to: To<'_>) {
    assert!(rows.len() >= GROUP * panel.len() && rows.len().is_multiple_of(GROUP));
    assert_eq!(to.values.len(), (GROUP - 1) * to.step + 1);
    #[cfg(target_arch = "x86_64")]
    {
        use crate::simd::Level;
        match simd.level() {
            // SAFETY: a `Simd` of this level exists only where the CPU was found to have its features; the lengths
            // were checked above.
            Level::Avx512 => return unsafe { x86::tile_512(rows, panel, base, to) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { x86::tile_256(rows, panel, base, to) },
            Level::Scalar => {}
        }
    }
    let _ = simd;
    portable(rows, panel, base, to);
}

/// Two rows by eight columns at a time: as many sums as the smallest register file holds.
#[allow(clippy::needless_pass_by_value)] // as the other levels, which write through it
fn portable(rows: &[f32], panel: &[[f32; LANES]], base: &[f32; LANES], to: To<'_>) {
    const WIDTH: usize = 8;
    let (depth, stride) = (panel.len(), rows.len() / GROUP);
    for pair in (0..GROUP).step_by(2) {
        let (first, second) = rows[pair * stride..][..2 * stride].split_at(stride);
        let mut out = [*base; 2];
        for column in (0..LANES).step_by(WIDTH) {
            let first = first[..depth].chunks(RUN);
            for ((first, second), panel) in first.zip(second[..depth].chunks(RUN)).zip(panel.chunks(RUN)) {
                let mut sums = [[0.0f32; WIDTH]; 2];
                for ((a, b), values) in first.iter().zip(second).zip(panel) {
                    let values: &[f32; WIDTH] = values[column..].first_chunk().expect("a whole panel");
                    for i in 0..WIDTH {
                        sums[0][i] += a * values[i];
                        sums[1][i] += b * values[i];
                    }
                }
                for (out, sums) in out.iter_mut().zip(&sums) {
                    out[column..].iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                }
            }
        }
        for (i, out) in out.iter().enumerate() {
            to.values[(pair + i) * to.step] = *out;
            to.lowest[(pair + i) * to.step] = out.iter().copied().fold(f32::INFINITY, f32::min);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{GROUP, LANES, RUN, To};
    use std::arch::x86_64::{
        _mm_cvtss_f32, _mm_min_ps, _mm_min_ss, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps, _mm256_castps256_ps128,
        _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_min_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_min_ps, _mm512_reduce_min_ps,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    // The sums are variables of their own: in an array the compiler stores them at every step.
    macro_rules! tile_512 {
        ($rows:ident, $panel:ident, $base:ident, $to:ident, $($row:tt $low:ident $high:ident)*) => {{
            let (depth, stride) = ($panel.len(), $rows.len() / GROUP);
            // SAFETY: k < depth ≤ stride and `rows` holds GROUP·stride values; the loads and stores are of the two
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
    pub fn tile_512(rows: &[f32], panel: &[[f32; LANES]], base: &[f32; LANES], to: To<'_>) {
        tile_512!(rows, panel, base, to, 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3 4 a4 b4 5 a5 b5 6 a6 b6 7 a7 b7);
    }

    macro_rules! tile_256 {
        ($rows:ident, $stride:ident, $panel:ident, $base:ident, $to:ident, $first:ident, $column:ident,
         $($row:tt $low:ident $high:ident)*) => {{
            let depth = $panel.len();
            // SAFETY: k < depth ≤ stride, first + row < GROUP and `rows` holds GROUP·stride values; the loads and
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
                    let four = _mm_min_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both));
                    let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
                    let one = _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
                    let lowest = $to.lowest.get_unchecked_mut(place);
                    *lowest = if $column == 0 { one } else { lowest.min(one) };
                )*
            }
        }};
    }

    #[target_feature(enable = "avx2,fma")]
    #[allow(clippy::needless_pass_by_value)] // it is written through
    pub fn tile_256(rows: &[f32], panel: &[[f32; LANES]], base: &[f32; LANES], to: To<'_>) {
        let stride = rows.len() / GROUP;
        for first in [0, GROUP / 2] {
            for column in [0, LANES / 2] {
                tile_256!(rows, stride, panel, base, to, first, column, 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_stay_within_their_rounding_error() {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.4
        };
        for (depth, columns) in [(1, 1), (5, 32), (130, 33), (700, 64)] {
            let stride = depth + depth % 3;
            let rows: Vec<f32> = (0..2 * GROUP * stride).map(|_| next()).collect();
            let mut panels = Panels::new(depth, columns, f32::INFINITY);
            for (values, base) in panels.parts() {
                values.iter_mut().flatten().for_each(|value| *value = next());
                base.iter_mut()
                    .filter(|base| base.is_finite())
                    .for_each(|base| *base = next());
            }
            let count = panels.count();
            let length = |values: &mut dyn Iterator<Item = f32>| -> f64 {
                values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
            };
            for simd in Simd::available() {
                let mut out = Products::default();
                let rows = Rows { values: &rows, stride };
                products(simd, rows, &panels, 0..count, None, &mut out);
                for (place, found) in out.values.iter().enumerate() {
                    let (row, panel) = (&rows.values[place / count * stride..][..depth], place % count);
                    assert_eq!(out.lowest[place], found.iter().copied().fold(f32::INFINITY, f32::min));
                    let values = &panels.values[panel * depth..][..depth];
                    for lane in 0..LANES {
                        let base = panels.base[panel][lane];
                        if panel * LANES + lane >= columns {
                            assert_eq!(found[lane], f32::INFINITY);
                            continue;
                        }
                        let exact: f64 = row
                            .iter()
                            .zip(values)
                            .map(|(a, b)| f64::from(*a) * f64::from(b[lane]))
                            .sum();
                        let scale = length(&mut row.iter().copied()) * length(&mut values.iter().map(|b| b[lane]));
                        let slack = rounding(depth) * (scale + f64::from(base.abs()));
                        let error = (f64::from(found[lane]) - f64::from(base) - exact).abs();
                        assert!(error <= slack, "{simd} {depth} {error} > {slack}");
                    }
                }
                let mut skipped = Products::default();
                let wanted: Vec<bool> = (0..2 * count).map(|i| i < count).collect();
                products(simd, rows, &panels, 0..count, Some(&wanted), &mut skipped);
                assert_eq!(skipped.values[..GROUP * count], out.values[..GROUP * count]);
                assert!(skipped.values[GROUP * count..].iter().all(|tile| *tile == [0.0; LANES]));
            }
        }
    }
}
