//! Products of bytes in register tiles.

use crate::bounds::bytes::quantize::squared_units;
use crate::bounds::products::{PANEL, TILE_ROWS, To};
use crate::simd::lanes::{Isa, LANES};
use crate::simd::multiversion;

/// Two times four bytes of each of a panel's columns, by halves of the panel.
pub type Fours = [[[u8; 4 * LANES]; 2]; 2];

/// [`TILE_ROWS`] rows and a panel.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    pub rows: &'a [[i8; 4 * LANES]],
    /// What [`offset_norm`](crate::bounds::bytes::quantize::offset_norm) makes of each row.
    pub own: &'a [f32],
    pub columns: &'a [Fours],
    pub norms: &'a [f32; PANEL],
}

#[inline(always)]
fn tile_body<I: Isa>(isa: I, tile: Tile<'_>, to: To<'_>) {
    // As many sums as there are registers for.
    if I::ONE_REGISTER {
        rows_at_once::<I, TILE_ROWS>(isa, tile, to);
    } else {
        rows_at_once::<I, 2>(isa, tile, to);
    }
}

#[inline(always)]
fn rows_at_once<I: Isa, const ROWS: usize>(isa: I, tile: Tile<'_>, to: To<'_>) {
    let To { values, lowest, step } = to;
    let (norms, _) = tile.norms.as_chunks::<LANES>();
    let rows = eights(tile.rows, tile.columns.len());
    for first in (0..TILE_ROWS).step_by(ROWS) {
        let sums = sums::<I, ROWS>(isa, &rows[first..first + ROWS], tile.columns);
        for (r, [low, high]) in sums.into_iter().enumerate() {
            let (place, own) = ((first + r) * step, isa.splat(tile.own[first + r]));
            let (halves, _) = values[place].as_chunks_mut::<LANES>();
            let low = finish(isa, low, &norms[0], own, &mut halves[0]);
            let high = finish(isa, high, &norms[1], own, &mut halves[1]);
            lowest[place] = isa.lowest(isa.min(low, high));
        }
    }
}

/// The bytes of a group's rows, eight at a time.
#[inline(always)]
fn eights(rows: &[[i8; 4 * LANES]], depth: usize) -> [&[[i8; 8]]; TILE_ROWS] {
    let (eights, _) = rows.as_flattened().as_chunks::<8>();
    let mut each = [&[][..]; TILE_ROWS];
    for (each, row) in each.iter_mut().zip(eights.chunks_exact(eights.len() / TILE_ROWS)) {
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
fn finish<I: Isa>(isa: I, sums: I::I, norms: &[f32; LANES], own: I::F, to: &mut [f32; LANES]) -> I::F {
    let squared = squared_units(isa, sums, isa.load(norms), own);
    isa.store(squared, to);
    squared
}

multiversion! {
    /// The squared distances of a tile.
    pub fn tile(tile: Tile<'_>, to: To<'_>) = tile_body
}
