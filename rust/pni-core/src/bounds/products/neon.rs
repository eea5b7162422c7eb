//! Tiles with NEON: four rows by sixteen columns at a time, whose sums take half of the 32 registers.

use super::{PANEL, TILE_ROWS, To};
use crate::bounds::RUN;
use crate::simd::lanes::{self, Isa};
use crate::simd::neon::Neon;

/// Rows whose sums are held at a time.
const HEIGHT: usize = 4;

// The sums are variables of their own: in an array the compiler may store them at every step.
macro_rules! tile {
    ($rows:ident, $panel:ident, $base:ident, $to:ident, $first:ident, $half:ident, $($row:tt $sums:ident)*) => {{
        let (depth, stride) = ($panel.len(), $rows.len() / TILE_ROWS);
        let part = |values: &[f32; PANEL]| Neon.load(&values.as_chunks::<{ lanes::LANES }>().0[$half]);
        $(let mut $sums = part($base);)*
        for start in (0..depth).step_by(RUN) {
            let end = (start + RUN).min(depth);
            let before = ($($sums,)*);
            let rows = ($(&$rows[($first + $row) * stride..][start..end],)*);
            $($sums = Neon.splat(0.0);)*
            for (k, values) in $panel[start..end].iter().enumerate() {
                let values = part(values);
                $($sums = Neon.mul_add(Neon.splat(rows.$row[k]), values, $sums);)*
            }
            $($sums = Neon.add($sums, before.$row);)*
        }
        $(
            let place = ($first + $row) * $to.step;
            let out = &mut $to.values[place].as_chunks_mut::<{ lanes::LANES }>().0[$half];
            Neon.store($sums, out);
            let least = out.iter().copied().fold(f32::INFINITY, f32::min);
            let lowest = &mut $to.lowest[place];
            *lowest = if $half == 0 { least } else { lowest.min(least) };
        )*
    }};
}

#[allow(clippy::needless_pass_by_value)] // it is written through
pub fn tile(rows: &[f32], panel: &[[f32; PANEL]], base: &[f32; PANEL], to: To<'_>) {
    for first in (0..TILE_ROWS).step_by(HEIGHT) {
        for half in 0..PANEL / lanes::LANES {
            tile!(rows, panel, base, to, first, half, 0 a 1 b 2 c 3 d);
        }
    }
}
