//! What the distance of two sketches shows: sketches compared, without slack and with it, and the horizon.

use super::{Exact, Random, climb, scaled};
use crate::Simd;
use crate::bounds::UNIT;
use crate::bounds::pair::measure;
use crate::bounds::sketch::compare::{
    RELATIVE, Reach, blocks, decisive, horizon, lower_bound, lower_bounds, near, reach,
};
use crate::distance::squared;
use crate::simd::lanes::LANES;

pub(super) fn by_rows(simd: Simd, a: &[f32], b: &[f32]) -> f32 {
    measure(simd, a, b)
}

fn by_blocks(simd: Simd, a: &[f32], b: &[f32]) -> f32 {
    let block: Vec<f32> = b.iter().flat_map(|x| [*x; LANES]).collect();
    let mut out = [0.0; LANES];
    blocks(simd, a, &block, f32::INFINITY, &mut out);
    out[0]
}

/// *Sketches compared*: sums are off by up to 13 units of rounding of the 168 in `RELATIVE`. Less than 10 of the 671 in
/// `DECISIVE` fail, and so do no `LOWER`, no `ABSOLUTE` and no `ROOT_ABSOLUTE`.
#[test]
fn sketches_are_compared_safely() {
    for simd in Simd::available() {
        let mut worst = 0.0f64;
        for (width, high) in [1, 2, 16, 17, 31, 32, 64]
            .into_iter()
            .flat_map(|n| [(n, false), (n, true)])
        {
            for measure in [by_rows, by_blocks] {
                let error = |a: &[f32], b: &[f32]| {
                    let exact = Exact::squared(a, b);
                    let off = exact.less(f64::from(measure(simd, a, b))) / exact.high;
                    if high { -off } else { off }
                };
                let (a, b) = climb(width, high, error);
                worst = worst.max(error(&a, &b));
                for exponent in [-149, -80, -70, -50, -30, 0, 30, 50] {
                    let (a, b) = (scaled(&a, exponent), scaled(&b, exponent));
                    let (exact, found) = (Exact::squared(&a, &b).high, f64::from(measure(simd, &a, &b)));
                    assert!(
                        (found - exact).abs() <= exact * f64::from(RELATIVE) + 1e-30,
                        "{simd} {width}"
                    );
                    // The least float32 that is no less than the distance.
                    let mut reach = exact.sqrt() as f32;
                    if f64::from(reach) < exact.sqrt() {
                        reach = reach.next_up();
                    }
                    assert!(found <= f64::from(decisive(reach)), "{simd} {width} {exponent}");
                    assert!(near(simd, &a, &b, reach));
                    let lower = f64::from(lower_bound(found as f32, 0.0));
                    assert!(lower <= exact.sqrt());
                    if exponent >= -30 {
                        assert!(!near(simd, &a, &b, reach * (1.0 - 3e-5)), "{simd} {width} {exponent}");
                        assert!(lower >= exact.sqrt() * (1.0 - 5e-5) - 2e-15);
                        let bare = found > f64::from(reach) * f64::from(reach) && found.sqrt() > exact.sqrt();
                        assert!(bare || !high || width < 31, "{simd} {width} {exponent}");
                    }
                }
            }
        }
        // Squares that are rounded up to the smallest number there is, or down to 0.
        let mut random = Random(8);
        for _ in 0..500 {
            let row = scaled(&[random.factor()], -76 + random.below(4) as i32);
            let distance = f64::from(row[0]);
            assert!(near(simd, &row, &[0.0], row[0]), "{simd} {distance}");
            assert!(f64::from(lower_bound(by_rows(simd, &row, &[0.0]), 0.0)) <= distance);
            let (twice, reach) = ([row[0]; 2], (distance * 2f64.sqrt()) as f32);
            assert!(near(simd, &twice, &[0.0; 2], reach.next_up()), "{simd} {distance}");
        }
        assert!((8.0 * UNIT..=14.0 * UNIT).contains(&worst), "{simd} {}", worst / UNIT);
    }
}

/// *Sketches compared*, with slack: whatever two slacks round to, what is as near as asked about stays.
#[test]
fn slack_is_added_safely() {
    let simd = Simd::best();
    let mut random = Random(2);
    for width in [1, 31, 32] {
        // Of a distance that float32 has for too long.
        let error = |a: &[f32], b: &[f32]| f64::from(by_rows(simd, a, b)) / squared(simd, a, b);
        let (a, b) = climb(width, true, error);
        for _ in 0..2000 {
            let exponent = random.below(60) as i32 - 30;
            let (a, b) = (scaled(&a, exponent), scaled(&b, exponent));
            let distance = squared(simd, &a, &b).sqrt();
            let slack = |random: &mut Random| (distance * f64::from(random.value().abs().powi(3)) * 0.5) as f32;
            let (own, other) = (slack(&mut random), slack(&mut random));
            // Points cannot be nearer to each other than this.
            let least = (distance - f64::from(own) - f64::from(other)).max(0.0);
            assert!(near(simd, &a, &b, reach(least * least, own + other)));
            assert!(f64::from(lower_bound(by_rows(simd, &a, &b), own + other)) <= least);
            // The same for many centers at once.
            let limit = Reach::new((least as f32).next_up(), own, other);
            let block: Vec<f32> = b.iter().flat_map(|x| [*x; LANES]).collect();
            let (mut bounds, mut found) = ([0.0; LANES], Vec::new());
            blocks(simd, &a, &block, limit.squared(), &mut bounds);
            lower_bounds(simd, limit, 32, &[other; LANES], &mut bounds, &mut found);
            assert_eq!(found, (32..48).collect::<Vec<u32>>());
            // And none where they are hardly farther.
            let limit = Reach::new((least * (1.0 - 1e-4) - distance * 2e-4) as f32, own, other);
            found.clear();
            blocks(simd, &a, &block, limit.squared(), &mut bounds);
            lower_bounds(simd, limit, 32, &[other; LANES], &mut bounds, &mut found);
            assert!(found.is_empty() || least < 4e-4 * distance);
        }
    }
}

/// *Horizon*: a center that is nearer to a point than the point's own, by one unit in the last place of the canonical
/// distance, is never beyond it. Twice the distance less four parts in 100,000 fails (what compares it gives the rest away).
#[test]
fn nearer_centers_lie_within_the_horizon() {
    let mut random = Random(3);
    for simd in Simd::available() {
        let (mut count, mut farthest) = (0, 0.0f64);
        for round in 0..4000 {
            let width = [1, 2, 3, 17, 32][round % 5];
            let exponent = random.below(80) as i32 - 45;
            let own = scaled(&random.values(width), exponent);
            let step = scaled(&random.values(width), exponent);
            // The newest center as far beyond the point as its own is before it, but for rounding.
            let point: Vec<f32> = own.iter().zip(&step).map(|(x, step)| x + step).collect();
            let newest: Vec<f32> = point.iter().zip(&step).map(|(x, step)| x + step).collect();
            let best = squared(simd, &point, &own);
            if best == 0.0 || squared(simd, &point, &newest) >= best {
                continue;
            }
            let horizon = horizon(best);
            assert!(near(simd, &own, &newest, horizon), "{own:?} {point:?} {newest:?}");
            assert!(lower_bound(by_rows(simd, &own, &newest), 0.0) <= horizon);
            let apart = squared(simd, &own, &newest).sqrt() / best.sqrt();
            (count, farthest) = (count + 1, farthest.max(apart));
            assert!(f64::from(horizon) <= 2.0 * best.sqrt() * (1.0 + 3e-5) + 1e-37);
        }
        assert!(count > 500 && farthest > 2.0 - 2e-6, "{simd} {count} {farthest}");
    }
    for best in [
        0.0,
        f64::MIN_POSITIVE,
        2f64.powi(-298),
        1e-60,
        1e76,
        1e80,
        f64::INFINITY,
    ] {
        assert!(f64::from(horizon(best)) >= 2.0 * best.sqrt());
    }
}
