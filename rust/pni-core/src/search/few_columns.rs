//! Rows of few columns: a product costs less than keeping it, so all are made twice. First the lowest score of each row
//! is found, then every column that can be as near.

use crate::Simd;
use crate::bounds::products::{GROUP, LANES, Panels, Rows};
use crate::simd::lanes::{Isa, LANES as HALF};
use crate::simd::multiversion;
use std::ops::Range;

/// Columns, at most, for which this is the faster way.
pub const FEW: usize = 8;

/// Some rows and panels.
#[derive(Clone, Copy)]
struct Strip<'a> {
    rows: Rows<'a>,
    depth: usize,
    values: &'a [[f32; LANES]],
    base: &'a [[f32; LANES]],
}

impl<'a> Strip<'a> {
    fn new(rows: Rows<'a>, panels: &'a Panels, range: Range<usize>) -> Self {
        let (depth, values, base) = panels.part(range);
        assert!(depth <= rows.stride && rows.values.len().is_multiple_of(GROUP * rows.stride));
        Self {
            rows,
            depth,
            values,
            base,
        }
    }
}

/// The values of a group's rows.
#[inline(always)]
fn each(group: &[f32], stride: usize, depth: usize) -> [&[f32]; GROUP] {
    let mut each = [&[][..]; GROUP];
    for (each, row) in each.iter_mut().zip(group.chunks_exact(stride)) {
        *each = &row[..depth];
    }
    each
}

/// The scores of some rows in a panel, by halves.
#[inline(always)]
fn scores<I: Isa, const ROWS: usize>(
    isa: I,
    rows: &[&[f32]],
    columns: &[[f32; LANES]],
    base: &[f32; LANES],
) -> [[I::F; 2]; ROWS] {
    let (base, _) = base.as_chunks::<HALF>();
    let mut sums = [[isa.load(&base[0]), isa.load(&base[1])]; ROWS];
    for (k, column) in columns.iter().enumerate() {
        let (halves, _) = column.as_chunks::<HALF>();
        let halves = [isa.load(&halves[0]), isa.load(&halves[1])];
        for (sums, row) in sums.iter_mut().zip(rows) {
            let x = isa.splat(row[k]);
            for (sum, half) in sums.iter_mut().zip(halves) {
                *sum = isa.mul_add(x, half, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn lowest_body<I: Isa>(isa: I, strip: Strip<'_>, out: &mut [f32]) {
    // As many sums as there are registers for.
    if I::ONE_REGISTER {
        lowest_at_once::<I, GROUP>(isa, strip, out);
    } else {
        lowest_at_once::<I, 2>(isa, strip, out);
    }
}

#[inline(always)]
fn lowest_at_once<I: Isa, const ROWS: usize>(isa: I, strip: Strip<'_>, out: &mut [f32]) {
    let Strip {
        rows,
        depth,
        values,
        base,
    } = strip;
    let groups = rows.values.chunks_exact(GROUP * rows.stride);
    for (group, out) in groups.zip(out.chunks_exact_mut(GROUP)) {
        let rows = each(group, rows.stride, depth);
        for (rows, out) in rows.chunks_exact(ROWS).zip(out.chunks_exact_mut(ROWS)) {
            let mut low = [isa.splat(f32::INFINITY); ROWS];
            for (columns, base) in values.chunks_exact(depth).zip(base) {
                let scores = scores::<I, ROWS>(isa, rows, columns, base);
                for (low, [a, b]) in low.iter_mut().zip(scores) {
                    *low = isa.min(*low, isa.min(a, b));
                }
            }
            for (out, low) in out.iter_mut().zip(low) {
                *out = out.min(isa.lowest(low));
            }
        }
    }
}

multiversion! {
    fn lowest_of(strip: Strip<'_>, out: &mut [f32]) = lowest_body
}

/// Lowers each of `out` to the row's lowest score in the panels of `range`.
pub fn lowest(simd: Simd, rows: Rows<'_>, panels: &Panels, range: Range<usize>, out: &mut [f32]) {
    lowest_of(simd, Strip::new(rows, panels, range), out);
}

#[inline(always)]
fn within_body<I: Isa>(isa: I, strip: Strip<'_>, limits: &[f32], out: &mut [u32]) {
    if I::ONE_REGISTER {
        within_at_once::<I, GROUP>(isa, strip, limits, out);
    } else {
        within_at_once::<I, 2>(isa, strip, limits, out);
    }
}

#[inline(always)]
fn within_at_once<I: Isa, const ROWS: usize>(isa: I, strip: Strip<'_>, limits: &[f32], out: &mut [u32]) {
    let Strip {
        rows,
        depth,
        values,
        base,
    } = strip;
    let count = base.len();
    let groups = rows.values.chunks_exact(GROUP * rows.stride);
    for ((group, limits), out) in groups
        .zip(limits.chunks_exact(GROUP))
        .zip(out.chunks_exact_mut(GROUP * count))
    {
        let rows = each(group, rows.stride, depth);
        for first in (0..GROUP).step_by(ROWS) {
            for (panel, (columns, base)) in values.chunks_exact(depth).zip(base).enumerate() {
                let scores = scores::<I, ROWS>(isa, &rows[first..first + ROWS], columns, base);
                for (r, [low, high]) in scores.into_iter().enumerate() {
                    let limit = isa.splat(limits[first + r]);
                    let above = isa.above(low, limit) & 0xffff | isa.above(high, limit) << HALF;
                    out[(first + r) * count + panel] = !above;
                }
            }
        }
    }
}

multiversion! {
    fn within_limits(strip: Strip<'_>, limits: &[f32], out: &mut [u32]) = within_body
}

/// Writes to `out` for each row a word for each panel of `range`, with a bit for each score that is at most the row's limit.
pub fn within(simd: Simd, rows: Rows<'_>, panels: &Panels, range: Range<usize>, limits: &[f32], out: &mut Vec<u32>) {
    out.clear();
    out.resize(limits.len() * range.len(), 0);
    within_limits(simd, Strip::new(rows, panels, range), limits, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_scores_and_what_is_within_are_those_of_plain_sums() {
        for (depth, columns) in [(1, 1), (3, 70), (FEW, 33)] {
            let mut panels = Panels::new(depth, columns, f32::INFINITY);
            let value = |i: usize| ((i * 37 + 11) % 23) as f32 - 11.0;
            for (panel, (values, base)) in panels.parts().enumerate() {
                for lane in 0..LANES.min(columns - panel * LANES) {
                    let column = panel * LANES + lane;
                    base[lane] = value(column + 5);
                    for (k, values) in values.iter_mut().enumerate() {
                        values[lane] = value(column * depth + k);
                    }
                }
            }
            let stride = depth + 16;
            let values: Vec<f32> = (0..2 * GROUP * stride).map(|i| value(i * 3)).collect();
            let rows = Rows {
                values: &values,
                stride,
            };
            let score = |row: usize, column: usize| {
                let products = (0..depth).map(|k| values[row * stride + k] * value(column * depth + k));
                value(column + 5) + products.sum::<f32>()
            };
            let count = columns.div_ceil(LANES);
            for simd in Simd::available() {
                let mut found = vec![f32::INFINITY; 2 * GROUP];
                lowest(simd, rows, &panels, 0..count, &mut found);
                // Whole numbers: every order of adding up gives the same.
                for (row, found) in found.iter().enumerate() {
                    let expected = (0..columns)
                        .map(|column| score(row, column))
                        .fold(f32::INFINITY, f32::min);
                    assert_eq!(*found, expected, "{simd} {depth}");
                }
                let limits: Vec<f32> = found.iter().map(|low| low + 20.0).collect();
                let mut words = Vec::new();
                within(simd, rows, &panels, 0..count, &limits, &mut words);
                for (row, words) in words.chunks_exact(count).enumerate() {
                    for column in 0..count * LANES {
                        let bit = words[column / LANES] >> (column % LANES) & 1 == 1;
                        let expected = column < columns && score(row, column) <= limits[row];
                        assert_eq!(bit, expected, "{simd} {depth} {row} {column}");
                    }
                }
            }
        }
    }
}
