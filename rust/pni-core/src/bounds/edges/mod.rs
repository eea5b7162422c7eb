//! Every bound of `BOUNDS.md` tried at its edge: rows for which rounding does nearly the most that it can, made by hand or
//! found by climbing. What is proved holds there; and it is used up to a share that each test names, so that a constant
//! smaller than that share fails.

mod bytes;
mod decision;
mod products;
mod roots_and_pairs;
mod sketches;
mod slack;

use crate::threads::Team;
use crate::{Context, Control, Simd};

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
