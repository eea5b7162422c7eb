//! Tiles in plain Rust.

use super::{PANEL, TILE_ROWS, To};
use crate::bounds::RUN;

/// Two rows by eight columns at a time: as many sums as the smallest register file holds.
#[allow(clippy::needless_pass_by_value)] // as the other levels, which write through it
pub fn tile(rows: &[f32], panel: &[[f32; PANEL]], base: &[f32; PANEL], to: To<'_>) {
    const COLUMNS: usize = 8;
    let (depth, stride) = (panel.len(), rows.len() / TILE_ROWS);
    for pair in (0..TILE_ROWS).step_by(2) {
        let (first, second) = rows[pair * stride..][..2 * stride].split_at(stride);
        let mut out = [*base; 2];
        for column in (0..PANEL).step_by(COLUMNS) {
            let first = first[..depth].chunks(RUN);
            for ((first, second), panel) in first.zip(second[..depth].chunks(RUN)).zip(panel.chunks(RUN)) {
                let mut sums = [[0.0f32; COLUMNS]; 2];
                for ((a, b), values) in first.iter().zip(second).zip(panel) {
                    let values: &[f32; COLUMNS] = values[column..].first_chunk().expect("a whole panel");
                    for i in 0..COLUMNS {
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
