//! What a sketch leaves out: its slack, and the directions.

use super::sketches::by_rows;
use super::{DOUBLED, LOST, Random, scaled, with_team};
use crate::bounds::UNIT;
use crate::bounds::sketch::{Basis, Map, WIDTH};
use crate::distance::squared;
use crate::{Matrix, Simd};

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
