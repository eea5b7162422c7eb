//! All pairs of some rows and columns by their bytes: squared distances in whole units, in register tiles. Where short
//! sketches leave too much in doubt they cost a fraction of float32 products and rule out nearly as much.

use super::tiles::{Fours, Tile, tile};
use crate::Simd;
use crate::bounds::bytes::RowBytes;
use crate::bounds::bytes::quantize::{OFFSET, norm, offset_norm};
use crate::bounds::products::{PANEL, Products, TILE_ROWS, To};
use crate::memory;
use crate::simd::lanes::LANES;
use std::ops::Range;

/// Pieces of a row, at most: what [`offset_norm`] adds up fits in 32 bits.
pub const LONGEST_ROW: usize = 1 << 11;

/// More than what rounding takes from a limit, relative (BOUNDS.md, *Panels of bytes*).
pub const LIMIT_ROUNDING: f32 = 1.000_01;

/// What float32 may take from a squared distance, in squared units, for each value of a row: sums beyond 2²⁴ are rounded
/// (BOUNDS.md, *Panels of bytes*).
pub const VALUE_ROUNDING: f32 = 0.01;

/// The bytes of all columns, [`PANEL`] side by side.
#[derive(Debug)]
pub struct BytePanels {
    /// [`Fours`] of a panel.
    depth: usize,
    values: Vec<Fours>,
    /// Squared lengths in units; infinite where there is no column, −infinite where it is in doubt.
    norms: Vec<[f32; PANEL]>,
    /// The largest error of a column's bytes.
    error: f32,
    /// What float32 may take from a squared distance.
    rounding: f32,
}

/// Some rows in bytes; whole groups of [`TILE_ROWS`].
#[derive(Debug, Default)]
pub struct ByteRows {
    bytes: Vec<[i8; 4 * LANES]>,
    /// What [`offset_norm`] makes of each.
    own: Vec<f32>,
    /// Errors of the bytes.
    errors: Vec<f32>,
}

impl BytePanels {
    /// The panels of these columns.
    pub fn new(known: &RowBytes) -> Self {
        let count = known.len();
        let (panels, depth) = (count.div_ceil(PANEL), known.width().div_ceil(8));
        let mut made = Self {
            depth,
            values: memory::filled([[[OFFSET as u8; 4 * LANES]; 2]; 2], panels * depth),
            norms: memory::filled([f32::INFINITY; PANEL], panels),
            error: 0.0,
            rounding: VALUE_ROUNDING * known.width() as f32,
        };
        for column in 0..count {
            let (panel, lane) = (column / PANEL, column % PANEL);
            let (bytes, error) = known.row(column);
            let (eights, _) = bytes.as_flattened().as_chunks::<8>();
            for (to, from) in made.values[panel * depth..][..depth].iter_mut().zip(eights) {
                let (from, _) = from.as_chunks::<4>();
                for (to, from) in to[lane / LANES].iter_mut().zip(from) {
                    let (lanes, _) = to.as_chunks_mut::<4>();
                    lanes[lane % LANES] = from.map(|byte| (byte + OFFSET) as u8);
                }
            }
            made.norms[panel][lane] = norm(bytes.as_flattened()) as f32;
            made.error = made.error.max(error);
        }
        made
    }

    /// Leaves a column in doubt for every row.
    pub fn doubt(&mut self, column: usize) {
        self.norms[column / PANEL][column % PANEL] = f32::NEG_INFINITY;
    }

    /// What a value of [`BytePanels::products`] must exceed to prove a column farther than `reach` units from `row`.
    pub fn limit(&self, rows: &ByteRows, row: usize, reach: f32) -> f32 {
        let most = reach + rows.errors[row] + self.error;
        // Never infinite, as the value where there is no column is.
        (most * most * LIMIT_ROUNDING + self.rounding).min(f32::MAX)
    }

    /// For each of `rows` and each column of the panels in `range` the squared distance of their bytes; `range.len()` panels
    /// a row. `wanted` is as for [`products`](crate::bounds::products::products).
    pub fn products(
        &self,
        simd: Simd,
        rows: &ByteRows,
        range: Range<usize>,
        wanted: Option<&[bool]>,
        out: &mut Products,
    ) {
        let (count, groups) = (range.len(), rows.own.len() / TILE_ROWS);
        let stride = self.depth.div_ceil(LANES / 2);
        memory::resize(&mut out.values, groups * TILE_ROWS * count, [0.0; PANEL]);
        memory::resize(&mut out.lowest, groups * TILE_ROWS * count, 0.0);
        for (place, panel) in range.enumerate() {
            let columns = &self.values[panel * self.depth..][..self.depth];
            for group in 0..groups {
                if wanted.is_some_and(|wanted| !wanted[group * count + place]) {
                    continue;
                }
                let one = Tile {
                    rows: &rows.bytes[group * TILE_ROWS * stride..][..TILE_ROWS * stride],
                    own: &rows.own[group * TILE_ROWS..][..TILE_ROWS],
                    columns,
                    norms: &self.norms[panel],
                };
                let first = group * TILE_ROWS * count + place;
                let to = To {
                    values: &mut out.values[first..],
                    lowest: &mut out.lowest[first..],
                    step: count,
                };
                tile(simd, one, to);
            }
        }
    }
}

impl ByteRows {
    /// Becomes the bytes of `rows`, filled up to a whole group. `slack`, where there is any, is what a row's distances may
    /// be less than those that are asked about.
    pub fn fill<'a>(
        &mut self,
        simd: Simd,
        known: &RowBytes,
        rows: impl ExactSizeIterator<Item = &'a [f32]>,
        slack: &[f32],
    ) {
        let (pieces, count) = (known.pieces(), rows.len().next_multiple_of(TILE_ROWS));
        self.bytes.clear();
        memory::resize(&mut self.bytes, count * pieces, [0; 4 * LANES]);
        self.own.clear();
        memory::resize(&mut self.own, count, 0.0);
        self.errors.clear();
        for ((row, bytes), sum) in rows.zip(self.bytes.chunks_exact_mut(pieces)).zip(&mut self.own) {
            let slack = slack.get(self.errors.len()).copied().unwrap_or(0.0);
            self.errors.push(known.quantize(simd, row, bytes) + known.reach(slack));
            *sum = offset_norm(bytes.as_flattened()) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Team;
    use crate::{Context, Control};

    #[test]
    fn products_are_the_squared_distances_of_bytes() {
        let mut state = 11u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        for (width, columns, rows) in [(1, 1, 1), (32, 70, 19), (64, 33, 8), (70, 40, 11), (300, 64, 20)] {
            let mut matrix = |rows: usize| -> Vec<f32> { (0..rows * width).map(|_| next()).collect() };
            let (targets, queries) = (matrix(columns), matrix(rows));
            for simd in Simd::available() {
                let control = Control::default();
                let context = Context {
                    simd,
                    threads: 1,
                    control: &control,
                };
                let row = |column: usize| &targets[column * width..][..width];
                let origin = vec![0.1; width];
                let known = Team::with(&context, |team| RowBytes::new(columns, origin, row, simd, team)).unwrap();
                let (panels, mut own, mut out) = (BytePanels::new(&known), ByteRows::default(), Products::default());
                own.fill(simd, &known, queries.chunks_exact(width), &[]);
                let count = columns.div_ceil(PANEL);
                panels.products(simd, &own, 0..count, None, &mut out);
                for (id, query) in queries.chunks_exact(width).enumerate() {
                    let mut bytes = vec![[0; 4 * LANES]; known.pieces()];
                    let error = known.quantize(simd, query, &mut bytes);
                    let found = &out.values[id * count..][..count];
                    for (column, squared) in found.as_flattened().iter().enumerate() {
                        if column >= columns {
                            assert_eq!(*squared, f32::INFINITY);
                            continue;
                        }
                        let (other, other_error) = known.row(column);
                        let pairs = bytes.as_flattened().iter().zip(other.as_flattened());
                        let exact: i32 = pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2)).sum();
                        assert_eq!(*squared, exact as f32, "{simd} {width} {id} {column}");
                        // The limit of the bytes' own distance takes the column in, and that of much less leaves it out.
                        let apart = (exact as f32).sqrt() - error - other_error;
                        assert!(*squared <= panels.limit(&own, id, apart.max(0.0)), "{simd} {width}");
                        let less = (exact as f32).sqrt() - error - panels.error - 2.0;
                        assert!(less < 2.0 || *squared > panels.limit(&own, id, less), "{simd} {width}");
                    }
                    let lows = &out.lowest[id * count..][..count];
                    for (found, low) in found.iter().zip(lows) {
                        assert_eq!(*low, found.iter().copied().fold(f32::INFINITY, f32::min));
                    }
                }
                let mut skipped = Products::default();
                let wanted: Vec<bool> = (0..rows.div_ceil(TILE_ROWS) * count).map(|i| i >= count).collect();
                panels.products(simd, &own, 0..count, Some(&wanted), &mut skipped);
                assert!(
                    skipped.values[..TILE_ROWS * count]
                        .iter()
                        .all(|tile| *tile == [0.0; PANEL])
                );
                assert_eq!(skipped.values[TILE_ROWS * count..], out.values[TILE_ROWS * count..]);
            }
        }
    }
}
