//! Register-tiled float32 products of a few rows with panels of columns. For bounds only.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod space;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::Simd;
use crate::bounds::{RUN, UNIT};
use crate::memory;
use std::ops::Range;

/// Columns of a panel.
pub const PANEL: usize = 32;
/// Rows of a tile.
pub const TILE_ROWS: usize = 8;

/// Columns in groups of [`PANEL`]: for each panel `depth` × [`PANEL`] values, and one addend per column.
#[derive(Debug)]
pub struct Panels {
    depth: usize,
    values: Vec<[f32; PANEL]>,
    base: Vec<[f32; PANEL]>,
}

impl Panels {
    /// Panels for `columns` columns of `depth` values, all zero; the columns that only fill the last panel up
    /// have the addend `padding`.
    pub fn new(depth: usize, columns: usize, padding: f32) -> Self {
        let count = columns.div_ceil(PANEL);
        let mut base = memory::zeros::<[f32; PANEL]>(count);
        if !columns.is_multiple_of(PANEL) {
            base[count - 1][columns % PANEL..].fill(padding);
        }
        Self {
            depth,
            values: memory::zeros(count * depth),
            base,
        }
    }

    /// One panel after the other: its values and addends, to be filled.
    pub fn parts(&mut self) -> impl Iterator<Item = (&mut [[f32; PANEL]], &mut [f32; PANEL])> {
        self.values.chunks_exact_mut(self.depth).zip(&mut self.base)
    }
}

/// The largest factor by which a product of `depth` terms, in units of both lengths, can be off.
pub fn rounding(depth: usize) -> f64 {
    (RUN.min(depth) + depth.div_ceil(RUN) + 4) as f64 * UNIT
}

/// Rows of equal length, `stride` values apart; whole groups of [`TILE_ROWS`].
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
    pub values: Vec<[f32; PANEL]>,
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
    let groups = rows.values.len() / stride / TILE_ROWS;
    assert!(depth <= stride && rows.values.len() == groups * TILE_ROWS * stride);
    assert!(wanted.is_none_or(|wanted| wanted.len() == groups * count));
    memory::resize(&mut out.values, groups * TILE_ROWS * count, [0.0; PANEL]);
    memory::resize(&mut out.lowest, groups * TILE_ROWS * count, 0.0);
    for (place, panel) in range.enumerate() {
        let values = &panels.values[panel * depth..][..depth];
        for group in 0..groups {
            if wanted.is_some_and(|wanted| !wanted[group * count + place]) {
                continue;
            }
            let rows = &rows.values[group * TILE_ROWS * stride..][..TILE_ROWS * stride];
            let first = group * TILE_ROWS * count + place;
            let last = first + (TILE_ROWS - 1) * count;
            let to = To {
                values: &mut out.values[first..=last],
                lowest: &mut out.lowest[first..=last],
                step: count,
            };
            tile(simd, rows, values, &panels.base[panel], to);
        }
    }
}

/// Where a tile goes: row `i` to place `i`·`step` of slices.
pub struct To<'a> {
    pub values: &'a mut [[f32; PANEL]],
    pub lowest: &'a mut [f32],
    pub step: usize,
}

#[inline]
fn tile(simd: Simd, rows: &[f32], panel: &[[f32; PANEL]], base: &[f32; PANEL], to: To<'_>) {
    assert!(rows.len() >= TILE_ROWS * panel.len() && rows.len().is_multiple_of(TILE_ROWS));
    assert_eq!(to.values.len(), (TILE_ROWS - 1) * to.step + 1);
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
    #[cfg(target_arch = "aarch64")]
    if simd.level() == crate::simd::Level::Neon {
        return neon::tile(rows, panel, base, to);
    }
    let _ = simd;
    portable::tile(rows, panel, base, to);
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
            let rows: Vec<f32> = (0..2 * TILE_ROWS * stride).map(|_| next()).collect();
            let mut panels = Panels::new(depth, columns, f32::INFINITY);
            for (values, base) in panels.parts() {
                values.iter_mut().flatten().for_each(|value| *value = next());
                base.iter_mut()
                    .filter(|base| base.is_finite())
                    .for_each(|base| *base = next());
            }
            let count = panels.base.len();
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
                    for lane in 0..PANEL {
                        let base = panels.base[panel][lane];
                        if panel * PANEL + lane >= columns {
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
                assert_eq!(skipped.values[..TILE_ROWS * count], out.values[..TILE_ROWS * count]);
                assert!(
                    skipped.values[TILE_ROWS * count..]
                        .iter()
                        .all(|tile| *tile == [0.0; PANEL])
                );
            }
        }
    }
}
