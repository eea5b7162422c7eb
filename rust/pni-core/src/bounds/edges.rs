//! Every bound of `BOUNDS.md` tried at its edge: rows for which rounding does nearly the most that it can, made by hand or
//! found by climbing. What is proved holds there; and it is used up to a share that each test names, so that a constant
//! smaller than that share fails.

use super::UNIT;
use super::bytes::blocks::{ByteBlocks, POINTS, SketchBytes};
use super::bytes::panels::{BytePanels, ByteRows, VALUE_ROUNDING};
use super::bytes::quantize::{REACH, quantize};
use super::bytes::{Narrowed, RowBytes};
use super::pair::{PairBounds, relative_error};
use super::products::space::Space;
use super::products::{PANEL, Panels, Products, Rows, TILE_ROWS, products, stride};
use super::root_above;
use super::sketch::compare::{
    RELATIVE, Reach, blocks, decisive, horizon, lower_bound, lower_bounds, near, reach, squared_to,
};
use super::sketch::{Basis, Map, WIDTH};
use crate::coreset::{Request, full_scan, lazy_with};
use crate::distance::{squared, squared_within};
use crate::nearest::{Few, nearest_with};
use crate::simd::lanes::LANES;
use crate::threads::Team;
use crate::{Context, Control, Matrix, Simd};
use half::f16;
use std::fs;
use std::path::Path;

/// A square that is half a unit in the last place of 1, 2⁻²⁴: added to 1 in float32 it is lost.
const LOST: f32 = 1.0 / 4096.0;

/// Its square is hardly more: added to 1 it counts double.
const DOUBLED: f32 = LOST * (1.0 + f32::EPSILON);

/// Values that look random, by `SplitMix64`.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// From −1 to 1.
    fn value(&mut self) -> f32 {
        ((self.bits() >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    }

    /// From 1 to 2.
    fn factor(&mut self) -> f32 {
        1.0 + (self.bits() >> 41) as f32 * f32::EPSILON
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }
}

/// A sum of two float64: good to 2⁻¹⁰⁰, as good as exact here.
#[derive(Debug, Clone, Copy, Default)]
struct Exact {
    high: f64,
    low: f64,
}

/// The rounded sum, and what rounding took.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let other = sum - a;
    (sum, (a - (sum - other)) + (b - other))
}

impl Exact {
    /// The squared distance of two rows.
    fn squared(a: &[f32], b: &[f32]) -> Self {
        let mut sum = Self::default();
        for (a, b) in a.iter().zip(b) {
            let (difference, missed) = two_sum(f64::from(*a), -f64::from(*b));
            let square = difference * difference;
            let rest = difference.mul_add(difference, -square) + 2.0 * difference * missed;
            let (high, carried) = two_sum(sum.high, square);
            (sum.high, sum.low) = two_sum(high, sum.low + carried + rest);
        }
        sum
    }

    /// This less something near it.
    fn less(self, other: f64) -> f64 {
        (self.high - other) + self.low
    }
}

fn with_team<R>(simd: Simd, work: impl FnOnce(&Team<'_>) -> R) -> R {
    let control = Control::default();
    let context = Context {
        simd,
        threads: 1,
        control: &control,
    };
    Team::with(&context, work)
}

/// All values times a power of 2.
fn scaled(values: &[f32], exponent: i32) -> Vec<f32> {
    let factor = 2f64.powi(exponent);
    values.iter().map(|x| (f64::from(*x) * factor) as f32).collect()
}

/// Rows whose sum of squared differences has the largest `error` that a climb finds. It starts at 1 (in place 0, with a
/// difference that is rounded), where what is added is lost, or counts double, wherever the order of adding up lets it.
fn climb(width: usize, high: bool, error: impl Fn(&[f32], &[f32]) -> f64) -> (Vec<f32>, Vec<f32>) {
    let (mut a, mut b) = (vec![0.0; width], vec![0.0; width]);
    let (step, first) = if high {
        (DOUBLED, LOST * DOUBLED)
    } else {
        (LOST, LOST * LOST)
    };
    (a[0], b[0]) = (1.0, -first);
    let mut most = error(&a, &b);
    for i in 1..width {
        a[i] = step;
        let found = error(&a, &b);
        if found > most {
            most = found;
        } else {
            a[i] = 0.0;
        }
    }
    (a, b)
}

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

fn by_rows(simd: Simd, a: &[f32], b: &[f32]) -> f32 {
    let mut out = Vec::new();
    squared_to(simd, a, b, &[0], &mut out);
    out[0]
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

/// How much of their slack two rows' sketches need so as not to claim more than the rows' distance.
fn slack_used(basis: &Basis, simd: Simd, a: &[f32], b: &[f32]) -> f64 {
    let (mut sketches, mut slacks) = ([0.0; 2 * WIDTH], [0.0; 2]);
    basis.apply(simd, &[a, b].concat(), &mut sketches, &mut slacks);
    let claimed = squared(simd, &sketches[..WIDTH], &sketches[WIDTH..]).sqrt();
    (claimed - squared(simd, a, b).sqrt()) / (f64::from(slacks[0]) + f64::from(slacks[1]))
}

/// A basis of one direction.
fn one_direction(direction: &[f32]) -> Basis {
    let mut vectors = vec![0.0; direction.len() * WIDTH];
    for (row, x) in vectors.chunks_exact_mut(WIDTH).zip(direction) {
        row[0] = *x;
    }
    let length = direction.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    Basis {
        mean: vec![0.0; direction.len()],
        vectors,
        skew: ((length - 1.0).abs() as f32).next_up(),
    }
}

/// *Slack of a sketch*: two rows that are all but the same, of which one loses every term of its component and the other has
/// every one doubled, so that what the component leaves out is too long for one and 0 for the other. A tenth of the slack
/// is used up, which goes with the root: a hundredth of `REMAINDER_SUMS` and `REMAINDER_COMPONENTS` fails.
#[test]
fn the_slack_covers_what_rounding_makes_of_a_sketch() {
    for simd in Simd::available() {
        for width in [128, 129, 1000, 5000] {
            // A run of 128 is added up by itself: of later ones one term is lost.
            let lost = |i: usize| i > 0 && (i < 128 || i % 128 == 5);
            let count = (0..width).filter(|i| lost(*i)).count() as f64;
            let first = (1.0 - count * UNIT).sqrt();
            let row = |first: f64, term: f32| -> Vec<f32> {
                let value = |i: usize| if lost(i) { term } else { 0.0 };
                (0..width)
                    .map(|i| if i == 0 { first as f32 } else { value(i) })
                    .collect()
            };
            let direction = row(first, LOST);
            let basis = one_direction(&direction);
            // The first product is 1.
            let (low, high) = (row(1.0 / first, LOST), row(1.0 / first, DOUBLED));
            for exponent in [-60, -20, 0, 20, 50] {
                let used = slack_used(&basis, simd, &scaled(&low, exponent), &scaled(&high, exponent));
                assert!(used <= 1.0, "{simd} {width} {exponent} {used}");
                assert!(
                    used >= 0.08 || exponent < -50 || width > 1000,
                    "{simd} {width} {exponent} {used}"
                );
            }
        }
    }
}

/// *Slack of a sketch*, squares that are rounded up to the smallest number there is for one row, and down to 0 for the other.
/// No `UNDERFLOW` fails.
#[test]
fn the_slack_covers_squares_that_underflow() {
    for simd in Simd::available() {
        for width in [40, 1000] {
            let mut direction = vec![0.0; width];
            direction[0] = 1.0;
            let basis = one_direction(&direction);
            let smallest = 2f32.powi(-75);
            let row = |value: f32| -> Vec<f32> { (0..width).map(|i| f32::from(i > 0) * value).collect() };
            let used = slack_used(&basis, simd, &row(1.1 * smallest), &row(0.9 * smallest));
            assert!(used > 0.0 && used <= 1.0, "{simd} {used}");
        }
    }
}

/// *Slack of a sketch*, a direction that is too long: it moves rows apart. Without `skew` their sketches claim too much.
#[test]
fn the_slack_covers_a_skewed_basis() {
    for simd in Simd::available() {
        for stretch in [1.0 + 1e-4, 1.01, 1.3] {
            let mut direction = vec![0.0; 40];
            direction[7] = stretch;
            let mut basis = one_direction(&direction);
            // Most of what is left out, so that little of it is in doubt.
            let (mut a, mut b) = (vec![3.0; 40], vec![3.0; 40]);
            (a[7], b[7]) = (19.0, -19.0);
            let used = slack_used(&basis, simd, &a, &b);
            assert!((0.04..1.0).contains(&used), "{simd} {stretch} {used}");
            basis.skew = 0.0;
            let used = slack_used(&basis, simd, &a, &b);
            assert!(used > 1.0 || stretch < 1.01, "{simd} {stretch} {used}");
        }
    }
}

/// Rows of a few kinds that are hard on a sketch.
fn hard_rows(kind: usize, count: usize, width: usize, random: &mut Random) -> Vec<f32> {
    let directions = random.values(3 * width);
    let mut rows = Vec::with_capacity(count * width);
    for _ in 0..count {
        let along = [random.value(), random.value(), random.value()];
        for j in 0..width {
            // In few directions nothing is left out, and what is computed of that is rounding alone.
            let few = (0..3).map(|k| along[k] * directions[k * width + j]).sum::<f32>();
            let value = random.value();
            rows.push(match kind {
                0 => value,
                1 => few,
                2 => few + 1e-4 * value,
                // A mean that takes most of the digits.
                3 => 1e6 + value,
                4 => 1e14 * few,
                5 => 1e-21 * few,
                6 => 1e-41 * value,
                7 => f32::from(j == 3) * value,
                8 => (j as f32).exp2().min(1e6) * few,
                _ => few.signum(),
            });
        }
    }
    // One that is too long for a sketch, and repeats.
    rows[width..2 * width].fill(3e18);
    let first: Vec<f32> = rows[..width].to_vec();
    rows[2 * width..3 * width].copy_from_slice(&first);
    rows[3 * width - 1] = rows[3 * width - 1].next_up();
    rows
}

/// *Slack of a sketch* and *Directions*: no pair of rows is claimed to be farther apart than it is, and the directions are as
/// near to orthonormal as they say.
#[test]
fn sketches_never_claim_more_than_the_distance() {
    let mut random = Random(4);
    for kind in 0..10 {
        for (count, width) in [(60, 33), (40, 64), (30, 300), (12, 2000)] {
            let rows = hard_rows(kind, count, width, &mut random);
            let simd = Simd::available()[(kind + width) % Simd::available().len()];
            let matrix = Matrix::from_f32("rows", &rows, count, width).unwrap();
            let basis = with_team(simd, |team| Basis::of(&matrix, 40, simd, team)).unwrap();
            let (mut sketches, mut slacks) = (vec![0.0; count * WIDTH], vec![0.0; count]);
            basis.apply(simd, &rows, &mut sketches, &mut slacks);
            assert_eq!(slacks[1], f32::INFINITY);
            for i in 0..count {
                for j in 0..i {
                    let claimed =
                        squared(simd, &sketches[i * WIDTH..][..WIDTH], &sketches[j * WIDTH..][..WIDTH]).sqrt();
                    let exact = squared(simd, &rows[i * width..][..width], &rows[j * width..][..width]).sqrt();
                    let slack = f64::from(slacks[i]) + f64::from(slacks[j]);
                    assert!(
                        claimed - slack <= exact,
                        "{simd} {kind} {width} {i} {j} {claimed} {slack} {exact}"
                    );
                }
            }
            assert!(norm_of_skew(&basis) <= f64::from(basis.skew) + 1e-12, "{kind} {width}");
        }
    }
}

/// The spectral norm of `VᵀV − I` over the columns that are not 0, from below, by the power method.
fn norm_of_skew(basis: &Basis) -> f64 {
    let column = |j: usize| basis.vectors.iter().skip(j).step_by(WIDTH).map(|x| f64::from(*x));
    let columns: Vec<usize> = (0..WIDTH).filter(|j| column(*j).any(|x| x != 0.0)).collect();
    let entry = |i: usize, j: usize| column(i).zip(column(j)).map(|(x, y)| x * y).sum::<f64>() - f64::from(i == j);
    let off: Vec<Vec<f64>> = columns
        .iter()
        .map(|i| columns.iter().map(|j| entry(*i, *j)).collect())
        .collect();
    let mut vector = vec![1.0; columns.len()];
    let mut norm = 0.0;
    for _ in 0..30 {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            break;
        }
        for x in &mut vector {
            *x /= length;
        }
        vector = off
            .iter()
            .map(|row| row.iter().zip(&vector).map(|(x, y)| x * y).sum())
            .collect();
        norm = vector.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
    }
    norm
}

/// *Slack of a sketch*, short rows: a sketch is the row, with no slack, unless its squares might overflow.
#[test]
fn short_rows_are_their_own_sketches() {
    let rows = [
        1e16,
        -1e16,
        f32::MIN_POSITIVE / 4.0,
        0.0,
        1.1e16,
        0.0,
        f32::MAX,
        -f32::MAX,
    ];
    let (mut sketches, mut slacks) = ([0.0; 8], [0.0; 4]);
    Map::Identity(2).apply(Simd::best(), &rows, &mut sketches, &mut slacks);
    assert_eq!(sketches[..4], rows[..4]);
    assert_eq!(slacks, [0.0, 0.0, f32::INFINITY, f32::INFINITY]);
    // The longest there are do not overflow.
    let (a, b) = ([1e16; 32], [-1e16; 32]);
    assert!(by_rows(Simd::best(), &a, &b) < 2e34);
}

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

/// The score of a column for a row, the row's squared length, and the highest score of a column within `squared`.
fn scored(simd: Simd, space: &Space, row: &[f32], column: &[f32], squared: f64) -> (f32, f32, f32) {
    let width = row.len();
    let mut values = vec![0.0; TILE_ROWS * stride(width)];
    let norm = space.center(simd, row, &mut values[..width]);
    let mut centered = vec![0.0; width];
    let length = space.center(simd, column, &mut centered);
    let mut panels = Panels::new(width, PANEL, f32::INFINITY);
    for (panel, base) in panels.parts() {
        base.fill(0.5 * (1.0 - space.full_error()) as f32 * length);
        for (to, x) in panel.iter_mut().zip(&centered) {
            to.fill(-x);
        }
    }
    let mut out = Products::default();
    let rows = Rows {
        values: &values,
        stride: stride(width),
    };
    products(simd, rows, &panels, 0..1, None, &mut out);
    let error = space.full_error() * (f64::from(norm) + f64::from(length));
    let limit = space.limit(squared, norm, space.full_error());
    (out.values[0][7], limit, error as f32)
}

/// *Products*: a column as near as asked about never scores above the limit, where its product loses every term. A fifth of
/// the error is used up, more than that is left to spare by `SAFETY`.
#[test]
fn products_are_bounded() {
    for simd in Simd::available() {
        let mut least = f64::INFINITY;
        for width in [1, 7, 64, 128, 1000, 4000] {
            let lost = |i: usize| i > 0 && (i < 128 || i % 128 == 5);
            let column: Vec<f32> = (0..width)
                .map(|i| if lost(i) { LOST } else { f32::from(i == 0) })
                .collect();
            let opposite: Vec<f32> = column.iter().map(|x| -x).collect();
            let space = Space::new(&[&column[..], &opposite].concat(), width);
            for row in [&column, &opposite] {
                let (score, limit, error) = scored(simd, &space, row, &column, squared(simd, row, &column));
                assert!(score <= limit, "{simd} {width} {score} {limit}");
                // 1 where nothing is lost, 0 at the edge.
                least = least.min(2.0 * (f64::from(limit) - f64::from(score)) / f64::from(error));
            }
        }
        assert!((0.5..0.85).contains(&least), "{simd} {least}");
    }
}

/// The same for rows of all sizes, far from the origin and near each other.
#[test]
fn products_are_bounded_wherever_rows_lie() {
    let mut random = Random(7);
    for simd in Simd::available() {
        for round in 0..400 {
            let width = [1, 3, 8, 33, 100, 300][round % 6];
            let exponent = random.below(240) as i32 - 140;
            let near = [1.0, 1e-3, 1e-6][random.below(3)];
            let offset = [0.0, 1.0, 1000.0][random.below(3)];
            let center = random.value() * offset;
            let values = |random: &mut Random| -> Vec<f32> {
                let values: Vec<f32> = (0..width).map(|_| center + random.value()).collect();
                scaled(&values, exponent)
            };
            let (row, other) = (values(&mut random), values(&mut random));
            let column: Vec<f32> = row.iter().zip(&other).map(|(x, y)| x + near * (y - x)).collect();
            let space = Space::new(&[&column[..], &other].concat(), width);
            let (score, limit, _) = scored(simd, &space, &row, &column, squared(simd, &row, &column));
            assert!(
                !limit.is_finite() || !score.is_finite() || score <= limit,
                "{simd} {round} {score} {limit}"
            );
        }
    }
}

/// *Decision*: rows whose distances float32 has in another order, or for equal, are told apart and tied as a plain loop in
/// float64 does it, whatever bounds are used on the way.
#[test]
fn what_float32_confuses_is_decided_in_float64() {
    let (width, mut random) = (130, Random(9));
    let mut rows = |count: usize, first: f32, terms: &[f32]| -> Vec<f32> {
        let mut value = |i: usize| {
            if i == 0 {
                first
            } else {
                terms[random.below(terms.len())]
            }
        };
        (0..count * width).map(|i| value(i % width)).collect()
    };
    let (mut targets, queries) = (rows(70, 1.0, &[LOST, DOUBLED, 0.0]), rows(20, 0.0, &[0.0, 1e-9]));
    // Two that tie.
    let twice: Vec<f32> = targets[..width].to_vec();
    targets[40 * width..41 * width].copy_from_slice(&twice);
    let target = |i: usize| &targets[i * width..][..width];
    let count = targets.len() / width;
    let features = Matrix::from_f32("features", &queries, 20, width).unwrap();
    let centers = Matrix::from_f32("centers", &targets, count, width).unwrap();
    let control = Control::default();
    for simd in Simd::available() {
        let context = Context {
            simd,
            threads: 1,
            control: &control,
        };
        let bounds = PairBounds::new(width);
        let mut confused = 0;
        for few in [Few::MEASURED, Few::NONE] {
            let (found, distances) = nearest_with(&features, &centers, few, &context).unwrap();
            for (id, query) in queries.chunks_exact(width).enumerate() {
                let exact: Vec<f64> = (0..count).map(|i| squared(simd, query, target(i))).collect();
                let best = (0..count).fold(0, |best, i| if exact[i] < exact[best] { i } else { best });
                assert_eq!(
                    (found[id], distances[id]),
                    (best as i64, exact[best].sqrt() as f32),
                    "{simd} {id}"
                );
                let rounded = |i: usize| bounds.of(simd, query, target(i)).1;
                confused += (0..count)
                    .filter(|i| exact[*i] > exact[best] && rounded(*i) <= rounded(best))
                    .count();
            }
        }
        assert!(confused > 20, "{simd} {confused}");
        for start in [0, 40, 69] {
            let request = Request {
                size: 69,
                start,
                initial: None,
                assign: Some(30),
            };
            let expected = full_scan(&centers, &request, &context).unwrap();
            assert_eq!(
                lazy_with(&centers, &request, 4, &context).unwrap(),
                expected,
                "{simd} {start}"
            );
        }
    }
}

/// *Model*: float16 is read as the float32 of the same value, so that every bound is one of float32.
#[test]
fn float16_is_read_exactly() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite()).collect();
    let matrix = Matrix::from_f16("halves", &halves, halves.len(), 1).unwrap();
    for (half, read) in halves.iter().zip(matrix.to_vec()) {
        let (bits, sign) = (
            half.to_bits() & 0x7fff,
            if half.is_sign_negative() { -1.0 } else { 1.0 },
        );
        let (exponent, fraction) = (i32::from(bits >> 10), f64::from(bits & 0x3ff));
        let value = if exponent == 0 {
            fraction * 2f64.powi(-24)
        } else {
            (1024.0 + fraction) * 2f64.powi(exponent - 25)
        };
        assert_eq!(f64::from(read), sign * value);
    }
}

/// The names of the constants that a source file declares.
fn constants(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line
            .strip_prefix("pub(crate) ")
            .or(line.strip_prefix("pub "))
            .unwrap_or(line);
        let name = line.strip_prefix("const ")?.split_once(':')?.0;
        name.bytes()
            .all(|c| c.is_ascii_uppercase() || c == b'_')
            .then_some(name)
    })
}

/// Every constant of the code that bounds, and of what uses it, has its place in `BOUNDS.md`: a proof or tuning.
#[test]
fn every_constant_is_accounted_for() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = ["bounds", "coreset", "search"].map(|name| sources.join(name)).to_vec();
    let page = include_str!("BOUNDS.md");
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("edges.rs") {
                for name in constants(&fs::read_to_string(&path).unwrap()) {
                    assert!(page.contains(&format!("`{name}`")), "{name} of {}", path.display());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 60, "{count}");
}
