//! What bytes miss: of values, of sketches, of rows, and in panels.

use super::{LOST, Random, scaled, with_team};
use crate::Simd;
use crate::bounds::bytes::blocks::{ByteBlocks, POINTS, SketchBytes};
use crate::bounds::bytes::panels::{BytePanels, ByteRows, VALUE_ROUNDING};
use crate::bounds::bytes::quantize::{REACH, quantize};
use crate::bounds::bytes::{Narrowed, RowBytes};
use crate::bounds::products::Products;
use crate::bounds::sketch::compare::decisive;
use crate::bounds::{UNIT, root_above};
use crate::distance::squared;
use crate::simd::lanes::LANES;

/// The exact distance, in units, from values (cut off) to their bytes.
fn missed(values: &[f32], origin: &[f32], scale: f32, bytes: &[i8]) -> f64 {
    let most = f64::from(REACH);
    let miss = |((value, origin), byte): ((&f32, &f32), &i8)| {
        let units = (f64::from(*value) - f64::from(*origin)) * f64::from(scale);
        (units.clamp(-most, most) - f64::from(*byte)).powi(2)
    };
    values.iter().zip(origin).zip(bytes).map(miss).sum::<f64>().sqrt()
}

/// *Bytes*: values that float32 takes for whole numbers of units, and that are not. A quarter of `UNIT_ROUNDING` is used up.
#[test]
fn bytes_know_their_error() {
    let mut random = Random(5);
    let mut worst = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..20_000 {
        let (whole, scale) = (32.0 + random.below(32) as f32, random.factor());
        let value = whole / scale;
        if value * scale != whole {
            continue;
        }
        let off = f64::from(value) * f64::from(scale) - f64::from(whole);
        // The origin adds nearly half a unit in the last place, on the same side, and is rounded away.
        let half = (value.next_up() - value) * 0.499;
        let origin = if off > 0.0 { -half } else { half };
        let off = missed(&[value], &[origin], scale, &[whole as i8]) / f64::from(whole);
        if value - origin == value && off > worst.0 {
            worst = (off, value, origin, scale);
        }
    }
    let (off, value, origin, scale) = worst;
    assert!(off > 1.6 * UNIT, "{}", off / UNIT);
    for simd in Simd::available() {
        for width in [1, 15, 16, 33, 1000, 5000] {
            let (values, origins) = (vec![value; width], vec![origin; width]);
            let mut bytes = vec![0; width];
            let error = f64::from(quantize(simd, &values, &origins, scale, &mut bytes));
            let exact = missed(&values, &origins, scale, &bytes);
            assert!(
                exact <= error && exact >= 0.22 * error,
                "{simd} {width} {exact} {error}"
            );
        }
        // Half a unit, beside which everything else in its lane is lost: a fifth of what `SUM_ROUNDING` and a rounding for every
        // 16 values allow.
        let value = |i: usize| match i {
            0 => 0.5,
            _ if i.is_multiple_of(LANES) => LOST / 2.0,
            _ => 0.0,
        };
        let values: Vec<f32> = (0..5000).map(value).collect();
        let (origin, mut bytes) = (vec![0.0; values.len()], vec![0; values.len()]);
        let error = f64::from(quantize(simd, &values, &origin, 1.0, &mut bytes));
        let exact = missed(&values, &origin, 1.0, &bytes);
        assert!(
            exact <= error && exact - 0.5 >= 0.18 * (error - 0.5),
            "{simd} {exact} {error}"
        );
        for round in 0..2000 {
            let width = 1 + random.below(200);
            let (size, scale) = (random.below(60) as i32 - 30, random.factor());
            let exponent = [0, 3, 6, 9][round % 4] - size;
            let (values, origins) = (random.values(width), random.values(width));
            let (values, origins) = (scaled(&values, size), scaled(&origins, size));
            let scale = scaled(&[scale], exponent)[0];
            let mut bytes = vec![0; width];
            let error = f64::from(quantize(simd, &values, &origins, scale, &mut bytes));
            let exact = missed(&values, &origins, scale, &bytes);
            assert!(exact <= error, "{simd} {width} {exact} {error}");
            let length = bytes.iter().map(|q| f64::from(*q).powi(2)).sum::<f64>().sqrt();
            assert!(
                error <= exact * (1.0 + 2e-5) + (length + exact) * 5e-7 + 2e-15,
                "{simd} {width} {exact} {error}"
            );
        }
        // What is cut off, overflows or underflows.
        for (value, origin, scale) in [
            (f32::MAX, -f32::MAX, 1e-29),
            (-f32::MAX, f32::MAX, 1e30),
            (1e-45, 0.0, 1e30),
            (1e-45, -1e-45, 6e31),
            (1e-45, 0.0, 1e20),
            (63.5, 0.0, 1.0),
            (63.0f32.next_up(), 0.0, 1.0),
            (62.5, 0.0, 1.0f32.next_down()),
        ] {
            let mut bytes = [0; 3];
            let error = f64::from(quantize(simd, &[value; 3], &[origin; 3], scale, &mut bytes));
            let exact = missed(&[value; 3], &[origin; 3], scale, &bytes);
            assert!(exact <= error, "{simd} {value} {exact} {error}");
        }
    }
}

/// Hardly more than half a unit, which is rounded up.
const HALF: f32 = 0.500_000_1;

/// *Bytes*, sketches: two that bytes have for twice as far apart as they are. All of both errors is used up.
#[test]
fn bytes_of_sketches_claim_no_more_than_their_errors_allow() {
    for simd in Simd::available() {
        for width in [1, 5, 31, 32] {
            for slack in [0.0, 0.7] {
                let (point, center) = (vec![HALF; width], vec![-HALF; width]);
                let origin = vec![0.0; width];
                let mut centers = ByteBlocks::new(width);
                centers.push(&SketchBytes::of(simd, &center, &origin, 1.0), slack);
                let point = SketchBytes::of(simd, &point, &origin, 1.0);
                let (view, mut out) = (centers.from(0), Vec::new());
                view.compare(simd, &[point; POINTS], &mut out);
                assert_eq!(out[0], 4.0 * width as f32);
                // Of a point as near as the sketches allow.
                let distance = 2.0 * HALF * (width as f32).sqrt() - slack;
                let limit = |distance: f32| decisive(distance + point.error + view.slack);
                assert!(out[0] <= limit(distance.next_up()), "{simd} {width}");
                assert!(
                    out[0] > limit(distance - 1e-4 * (width as f32).sqrt()),
                    "{simd} {width}"
                );
            }
        }
    }
}

/// These rows in bytes, one unit to 1: most rows are others, whose mean square has the root 18, which 3.5 times is 63.
fn in_units(simd: Simd, rows: &[Vec<f32>]) -> RowBytes {
    let width = rows[0].len();
    let typical = vec![18.0; width];
    let count = 2 * rows.len() + 1;
    let row = |i: usize| if i < rows.len() { &rows[i][..] } else { &typical[..] };
    let known = with_team(simd, |team| RowBytes::new(count, vec![0.0; width], row, simd, team)).unwrap();
    assert!((known.reach(1.0) - 1.0).abs() < 2e-5, "one unit to 1");
    known
}

/// *Rows in bytes*: what is as near as asked about stays, one part in ten thousand less and it goes: neither `ROUNDING` nor
/// `LIMIT_ROUNDING` allows for more. Rounded in 32 bits, or not at all.
#[test]
fn rows_in_bytes_are_told_apart_at_their_limit() {
    for simd in Simd::available() {
        for width in [33, 64, 100, 4000, 8192] {
            let whole = |i: usize| (i * 7 % 5) as f32;
            let rows: [Vec<f32>; 4] = [
                vec![-HALF; width],
                (0..width).map(|i| whole(i) - 63.0).collect(),
                (0..width).map(|i| 63.0 - whole(i)).collect(),
                vec![-1e9; width],
            ];
            let known = in_units(simd, &rows);
            let points = [vec![HALF; width], rows[2].clone(), rows[1].clone(), vec![-1e9; width]];
            for (i, (point, row)) in points.iter().zip(&rows).enumerate() {
                let distance = root_above(squared(simd, point, row));
                let left = |distance: f32| {
                    let mut left = Narrowed::default();
                    left.rows.push(i as u32);
                    known.narrow(simd, point, distance, &mut left);
                    left
                };
                let mut stays = left(distance);
                assert_eq!(stays.rows, [i as u32], "{simd} {width}");
                assert!(stays.nearest_first().all(|(_, lower)| lower <= known.reach(distance)));
                assert!(
                    i == 3 || left(distance * (1.0 - 1.5e-4)).rows.is_empty(),
                    "{simd} {width} {i}"
                );
            }
        }
    }
}

/// *Panels of bytes*: sums beyond 2²⁴ are rounded. An eighth of `VALUE_ROUNDING` is used up.
#[test]
fn panels_of_bytes_are_off_by_little() {
    let (width, mut random) = (20_000usize, Random(6));
    let byte = |random: &mut Random, least: usize| 63.0 - random.below(63 - least) as f32;
    let rows: Vec<Vec<f32>> = (0..16)
        .map(|k| (0..width).map(|_| byte(&mut random, 20 + 2 * k)).collect())
        .collect();
    for simd in Simd::available() {
        let known = in_units(simd, &rows);
        let (panels, mut own, mut out) = (BytePanels::new(&known), ByteRows::default(), Products::default());
        let negative: Vec<Vec<f32>> = rows[..4].iter().map(|row| row.iter().map(|x| -x).collect()).collect();
        let queries: Vec<&[f32]> = rows[..12].iter().chain(&negative).map(|row| &row[..]).collect();
        own.fill(simd, &known, queries.iter().copied(), &[]);
        panels.products(simd, &own, 0..1, None, &mut out);
        let mut most = 0.0f64;
        for (id, query) in queries.iter().enumerate() {
            for (column, row) in rows.iter().enumerate() {
                // The bytes are the values.
                let (exact, found) = (squared(simd, query, row), f64::from(out.values[id][column]));
                most = most.max((found - exact).abs() / width as f64);
                assert!(
                    found <= f64::from(panels.limit(&own, id, exact.sqrt() as f32)),
                    "{simd} {id} {column}"
                );
            }
        }
        assert!(most <= 0.39 * f64::from(VALUE_ROUNDING), "{simd} {most}");
        assert!(most >= 0.1 * f64::from(VALUE_ROUNDING), "{simd} {most}");
    }
}
