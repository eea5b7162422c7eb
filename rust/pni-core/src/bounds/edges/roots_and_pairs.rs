//! What single distances are made of: the canonical one, roots, pairs.

use super::{Exact, Random, climb, scaled};
use crate::Simd;
use crate::bounds::pair::{PairBounds, relative_error};
use crate::bounds::root_above;
use crate::distance::{squared, squared_within};
use crate::simd::lanes::LANES;

/// *Canonical distance*: within (⌈n/16⌉ + 6)·2⁻⁵³ of the exact one. At the edge all but a few of these are used up.
#[test]
fn canonical_distances_are_as_exact_as_they_say() {
    const UNIT_64: f64 = f64::EPSILON / 2.0;
    let simd = Simd::best();
    // Squares just below half a unit in the last place of 1.
    let lost = (UNIT_64.sqrt() as f32).next_down();
    for width in [5usize, 16, 17, 160, 1000] {
        let allowed = (width.div_ceil(LANES) + 6) as f64 * UNIT_64;
        let (mut a, mut b) = (vec![0.0; width], vec![0.0; width]);
        (a[0], b[0]) = (1.0, -(UNIT_64 as f32));
        let error = |a: &[f32], b: &[f32]| Exact::squared(a, b).less(squared(simd, a, b));
        let mut most = error(&a, &b);
        for i in 1..width {
            a[i] = lost;
            let found = error(&a, &b);
            if found > most {
                most = found;
            } else {
                a[i] = 0.0;
            }
        }
        assert!(most <= allowed, "{width} {most}");
        assert!(most >= 0.8 * allowed || width < 100, "{width} {most}");
        // What has been added up never falls, so that a part beyond a limit decides.
        for simd in Simd::available() {
            let distance = squared(simd, &a, &b);
            assert_eq!(squared_within(simd, &a, &b, distance), distance);
            assert!(squared_within(simd, &a, &b, distance.next_down()) > distance.next_down());
        }
    }
}

/// *Roots*: never below, with 1.4e-7 to spare for what the canonical distance is off by. `ROOT_ROUNDING` below 6e-8 fails.
#[test]
fn roots_are_rounded_up() {
    let mut random = Random(1);
    let mut least = f64::INFINITY;
    for _ in 0..100_000 {
        let exponent = random.below(500) as i32 - 250;
        let wanted = f64::from(random.factor()) * (1.0 + f64::EPSILON * random.below(1 << 29) as f64);
        let square = (wanted * wanted) * 2f64.powi(exponent);
        let root = f64::from(root_above(square));
        assert!(root >= square.sqrt(), "{square}");
        if root < f64::from(f32::MAX) && square > 1e-50 {
            least = least.min(root / square.sqrt() - 1.0);
            assert!(root <= square.sqrt() * (1.0 + 2.7e-7), "{square}");
        }
    }
    assert!((1.3e-7..1.5e-7).contains(&least), "{least}");
    // Roots that round to 0, or that float32 does not reach.
    for square in [
        0.0,
        f64::MIN_POSITIVE,
        2f64.powi(-298),
        2f64.powi(-301),
        1e80,
        f64::INFINITY,
    ] {
        assert!(f64::from(root_above(square)) >= square.sqrt(), "{square}");
    }
}

/// *Pairs*: at least 85 % of `ROUNDINGS` and of a rounding for every 64 values can be used up.
#[test]
fn pairs_are_bounded() {
    for simd in Simd::available() {
        for (width, high) in [1, 4, 15, 33, 64, 65, 127, 1000, 4031]
            .into_iter()
            .flat_map(|n| [(n, false), (n, true)])
        {
            let bounds = PairBounds::new(width);
            // What float32 makes of the square, less the exact one, in the errors that are allowed for.
            let used = |a: &[f32], b: &[f32]| {
                let (least, most) = bounds.of(simd, a, b);
                let computed = f64::midpoint(least, most);
                Exact::squared(a, b).less(computed) / (computed * relative_error(width))
            };
            let error = |a: &[f32], b: &[f32]| if high { -used(a, b) } else { used(a, b) };
            let (a, b) = climb(width, high, error);
            // Down to squares that are subnormal or 0, and up to those that overflow.
            for exponent in [-149, -100, -76, -70, -62, -30, 0, 60, 63, 64, 100] {
                let (a, b) = (scaled(&a, exponent), scaled(&b, exponent));
                let (least, most) = bounds.of(simd, &a, &b);
                for exact in [
                    Exact::squared(&a, &b),
                    Exact {
                        high: squared(simd, &a, &b),
                        low: 0.0,
                    },
                ] {
                    assert!(exact.less(least) >= 0.0, "{simd} {width} {exponent} {least} {exact:?}");
                    assert!(exact.less(most) <= 0.0, "{simd} {width} {exponent} {most} {exact:?}");
                }
            }
            let used = error(&a, &b);
            assert!(used >= 0.85 || width < 4000, "{simd} {width} {high} {used}");
        }
    }
}
