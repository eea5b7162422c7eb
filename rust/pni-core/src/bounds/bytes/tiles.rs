//! Products of bytes in register tiles.

use crate::bounds::products::{GROUP, LANES, To};
use crate::simd::lanes::{Isa, LANES as HALF};
use crate::simd::multiversion;

/// Two times four bytes of each of a panel's columns, by halves of the panel.
pub type Fours = [[[u8; 4 * HALF]; 2]; 2];

/// [`GROUP`] rows and a panel.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    pub rows: &'a [[i8; 4 * HALF]],
    /// What [`own`](crate::bounds::bytes::quantize::own) makes of each row.
    pub own: &'a [f32],
    pub columns: &'a [Fours],
    pub norms: &'a [f32; LANES],
}

#[inline(always)]
fn tile_body<I: Isa>(isa: I, tile: Tile<'_>, to: To<'_>) {
    // As many sums as there are registers for.
    if I::ONE_REGISTER {
        rows_at_once::<I, GROUP>(isa, tile, to);
    } else {
        rows_at_once::<I, 2>(isa, tile, to);
    }
}

#[inline(always)]
fn rows_at_once<I: Isa, const ROWS: usize>(isa: I, tile: Tile<'_>, to: To<'_>) {
    let To { values, lowest, step } = to;
    let (norms, _) = tile.norms.as_chunks::<HALF>();
    let rows = eights(tile.rows, tile.columns.len());
    for first in (0..GROUP).step_by(ROWS) {
        let sums = sums::<I, ROWS>(isa, &rows[first..first + ROWS], tile.columns);
        for (r, [low, high]) in sums.into_iter().enumerate() {
            let (place, own) = ((first + r) * step, isa.splat(tile.own[first + r]));
            let (halves, _) = values[place].as_chunks_mut::<HALF>();
            let low = finish(isa, low, &norms[0], own, &mut halves[0]);
            let high = finish(isa, high, &norms[1], own, &mut halves[1]);
            lowest[place] = isa.lowest(isa.min(low, high));
        }
    }
}

/// The bytes of a group's rows, eight at a time.
#[inline(always)]
fn eights(rows: &[[i8; 4 * HALF]], depth: usize) -> [&[[i8; 8]]; GROUP] {
    let (eights, _) = rows.as_flattened().as_chunks::<8>();
    let mut each = [&[][..]; GROUP];
    for (each, row) in each.iter_mut().zip(eights.chunks_exact(eights.len() / GROUP)) {
        *each = &row[..depth];
    }
    each
}

/// Products of some rows with a panel's columns.
#[inline(always)]
fn sums<I: Isa, const ROWS: usize>(isa: I, rows: &[&[[i8; 8]]], columns: &[Fours]) -> [[I::I; 2]; ROWS] {
    let mut sums = [[isa.zero_int(); 2]; ROWS];
    for (k, fours) in columns.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let [a, b, c, d, e, f, g, h] = row[k];
            for (sum, half) in sums.iter_mut().zip(fours) {
                *sum = isa.dot_two(*sum, half, [[a, b, c, d], [e, f, g, h]]);
            }
        }
    }
    sums
}

/// Writes the squared distances that products make.
#[inline(always)]
fn finish<I: Isa>(isa: I, sums: I::I, norms: &[f32; HALF], own: I::F, to: &mut [f32; HALF]) -> I::F {
    let norms = isa.add(isa.load(norms), own);
    let squared = isa.mul_add(isa.to_float(sums), isa.splat(-2.0), norms);
    isa.store(squared, to);
    squared
}

multiversion! {
    /// The squared distances of a tile.
    pub fn tile(tile: Tile<'_>, to: To<'_>) = tile_body
}

/// [`GROUP`] rows and some panels.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    pub rows: &'a [[i8; 4 * HALF]],
    /// What [`own`](crate::bounds::bytes::quantize::own) makes of each row, less the highest squared distance that is within reach: whole numbers.
    pub excess: &'a [f32],
    /// [`Fours`] of a panel.
    pub depth: usize,
    pub columns: &'a [Fours],
    pub norms: &'a [[f32; LANES]],
}

#[inline(always)]
fn within_body<I: Isa>(isa: I, strip: Strip<'_>, out: &mut [u32]) {
    if I::ONE_REGISTER {
        within_at_once::<I, GROUP>(isa, strip, out);
    } else {
        within_at_once::<I, 2>(isa, strip, out);
    }
}

#[inline(always)]
fn within_at_once<I: Isa, const ROWS: usize>(isa: I, strip: Strip<'_>, out: &mut [u32]) {
    let count = strip.norms.len();
    let rows = eights(strip.rows, strip.depth);
    let panels = strip.columns.chunks_exact(strip.depth).zip(strip.norms);
    for (place, (columns, norms)) in panels.enumerate() {
        let (norms, _) = norms.as_chunks::<HALF>();
        let norms = [isa.load(&norms[0]), isa.load(&norms[1])];
        for first in (0..GROUP).step_by(ROWS) {
            let sums = sums::<I, ROWS>(isa, &rows[first..first + ROWS], columns);
            for (r, sums) in sums.into_iter().enumerate() {
                let excess = isa.splat(strip.excess[first + r]);
                let above = |half: usize| {
                    let excess = isa.add(norms[half], excess);
                    isa.above(
                        isa.mul_add(isa.to_float(sums[half]), isa.splat(-2.0), excess),
                        isa.splat(0.0),
                    )
                };
                out[(first + r) * count + place] = !(above(0) & 0xffff | above(1) << HALF);
            }
        }
    }
}

multiversion! {
    /// A bit for each column that is within reach, a run of as many words as panels for each row.
    pub fn within(strip: Strip<'_>, out: &mut [u32]) = within_body
}
