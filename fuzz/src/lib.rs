//! What the fuzz targets share: inputs made to collide, and every way a kernel can be run.

#[path = "../../rust/pni-core/tests/oracle/mod.rs"]
pub mod oracle;

use arbitrary::{Arbitrary, Result, Unstructured};
use pni_core::{Context, Control, Matrix, Simd};

/// One finite value: small integers that tie, neighbors in the last bit, extremes, or any bits at all.
pub fn value(u: &mut Unstructured<'_>) -> Result<f32> {
    let near = |u: &mut Unstructured<'_>| u.int_in_range(-2i8..=2).map(f32::from);
    Ok(match u.int_in_range(0u8..=9)? {
        0..=4 => near(u)?,
        5 => 10_000.0 + near(u)?,
        6 => f32::from_bits(1.0f32.to_bits() + u32::from(u8::arbitrary(u)?)),
        7 => f32::from(i16::arbitrary(u)?) / 256.0,
        8 => *u.choose(&[1e30, -1e30, 1e-40, f32::MAX, f32::MIN, -0.0, 1e-20, f32::MIN_POSITIVE])?,
        _ => Some(f32::from_bits(u32::arbitrary(u)?))
            .filter(|value| value.is_finite())
            .unwrap_or(0.0),
    })
}

/// A matrix's width: both sides of where the kernels change their ways (16 lanes, 32 values of a sketch, 48 columns, 64 sums).
pub fn columns(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.int_in_range(0u8..=3)? {
        0 => u.int_in_range(1..=5)?,
        1 => u.int_in_range(14..=18)?,
        2 => u.int_in_range(30..=50)?,
        _ => u.int_in_range(60..=80)?,
    })
}

/// Up to `most` rows of `columns` values: repeats of a few rows, some of them changed in one place. So a few bytes
/// make a large matrix.
pub fn matrix(u: &mut Unstructured<'_>, columns: usize, most: usize) -> Result<Vec<f32>> {
    let distinct = u.int_in_range(1usize..=6)?;
    // Past the first values the row goes on by itself: wide rows would use all bytes up.
    let given = columns.min(6);
    let mut kept = Vec::with_capacity(distinct * columns);
    for _ in 0..distinct {
        let start = kept.len();
        for _ in 0..given {
            kept.push(value(u)?);
        }
        for i in given..columns {
            kept.push(kept[start + (i * i) % given]);
        }
    }
    let rows = u.int_in_range(1..=most)?;
    let mut made = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let from = if u.is_empty() {
            row * 7 % distinct
        } else {
            u.int_in_range(0..=distinct - 1)?
        };
        made.extend_from_slice(&kept[from * columns..][..columns]);
        if !u.is_empty() && u.ratio(1u8, 2u8)? {
            let place = row * columns + u.int_in_range(0..=columns - 1)?;
            made[place] = value(u)?;
        }
    }
    Ok(made)
}

/// A view of `values`.
pub fn view<'a>(what: &'static str, values: &'a [f32], columns: usize) -> Matrix<'a> {
    Matrix::from_f32(what, values, values.len() / columns, columns).expect("whole rows")
}

/// Calls `run` at every SIMD level this machine has, with one thread and with two.
pub fn every_way(run: impl Fn(&Context<'_>)) {
    let control = Control::default();
    for simd in Simd::available() {
        for threads in [1, 2] {
            run(&Context {
                simd,
                threads,
                control: &control,
            });
        }
    }
}
