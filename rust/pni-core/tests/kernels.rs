//! The kernels equal their plain oracles, bit by bit, at every SIMD level and any number of threads.

mod oracle;

use half::f16;
use oracle::{plain_coreset, plain_histogram, plain_likelihood, plain_nearest, plain_sets};
use pni_core::coreset::{Request, full_scan, greedy, lazy};
use pni_core::counts::{Changes, Counted, window_counts};
use pni_core::histogram::{Labels, position_histogram};
use pni_core::likelihood::{Allowed, max_likelihood_with};
use pni_core::nearest::{Few, nearest_with};
use pni_core::sets::position_sets;
use pni_core::{Context, Control, Matrix, Simd};
use proptest::prelude::*;

/// Values that collide, nearly collide, overflow or underflow.
fn values() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (-2i8..3).prop_map(f32::from),
        3 => -1.0f32..1.0,
        1 => prop::sample::select(vec![1e30f32, -1e30, 1e-40, 1e4, 10_001.0, f32::MAX, -0.0]),
    ]
}

/// Queries, targets and their width: enough of them for every way through the search.
fn pairs() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize)> {
    let shape = (
        1usize..90,
        prop_oneof![1usize..30, 50usize..140],
        prop_oneof![1usize..20, 49usize..90],
    );
    shape.prop_flat_map(|(queries, targets, cols)| {
        // Few distinct rows, so that targets tie; noise on some, so that most do not.
        let rows = prop::collection::vec(prop::collection::vec(values(), cols), 1..12);
        (rows, any::<u64>()).prop_map(move |(rows, seed)| {
            let mut state = seed;
            let mut next = move || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            let mut make = |count: usize| {
                let mut made = Vec::with_capacity(count * cols);
                for _ in 0..count {
                    let start = made.len();
                    made.extend_from_slice(&rows[next() % rows.len()]);
                    if next() % 3 > 0 {
                        made[start + next() % cols] += (next() % 64) as f32 / 32.0 - 1.0;
                    }
                }
                made
            };
            (make(queries), make(targets), cols)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn greedy_and_scan_equal_the_oracle((_, points, cols) in pairs(), threads in 1usize..4) {
        let rows = points.len() / cols;
        let request = Request { size: rows.div_ceil(2), start: rows / 3, initial: None, assign: None };
        let expected = plain_coreset(&points, cols, request.size, request.start);
        let points = Matrix::from_f32("features", &points, rows, cols).unwrap();
        let control = Control::default();
        for simd in Simd::available() {
            let context = Context { simd, threads, control: &control };
            for select in [greedy, lazy, full_scan] {
                let found = select(&points, &request, &context).unwrap();
                prop_assert_eq!(&found.indices, &expected.0, "{}", simd);
                prop_assert_eq!(&found.radii, &expected.1, "{}", simd);
            }
        }
    }

    #[test]
    fn nearest_equals_the_oracle((queries, targets, cols) in pairs(), threads in 1usize..4) {
        let expected = plain_nearest(&queries, &targets, cols);
        let features = Matrix::from_f32("features", &queries, queries.len() / cols, cols).unwrap();
        let centers = Matrix::from_f32("centers", &targets, targets.len() / cols, cols).unwrap();
        let control = Control::default();
        for simd in Simd::available() {
            let context = Context { simd, threads, control: &control };
            for few in [Few::MEASURED, Few::NONE] {
                let found = nearest_with(&features, &centers, few, &context).unwrap();
                prop_assert_eq!(&found.0, &expected.0, "{} {:?}", simd, few);
                prop_assert_eq!(&found.1, &expected.1, "{} {:?}", simd, few);
            }
        }
    }

    #[test]
    fn max_likelihood_equals_the_oracle(
        (queries, targets, cols) in pairs(), count in 1usize..20, bits in any::<u64>(), threads in 1usize..4
    ) {
        let (rows, columns) = (queries.len() / cols, targets.len() / cols);
        let groups: Vec<i64> = (0..columns).map(|i| (i * 7 % count) as i64).collect();
        let stride = count.div_ceil(8);
        let allowed: Vec<u8> = (0..rows * stride).map(|i| bits.rotate_left(11 * i as u32) as u8).collect();
        let expected = plain_likelihood(&queries, &targets, cols, &groups, &allowed, stride);
        let features = Matrix::from_f32("features", &queries, rows, cols).unwrap();
        let coreset = Matrix::from_f32("coreset", &targets, columns, cols).unwrap();
        let control = Control::default();
        for simd in Simd::available() {
            let context = Context { simd, threads, control: &control };
            let allowed = Allowed { bits: &allowed, groups: count };
            for few in [Few::MEASURED, Few::NONE] {
                let found = max_likelihood_with(&features, &coreset, &groups, allowed, few, &context).unwrap();
                prop_assert_eq!(&found.0, &expected.0, "{} {:?}", simd, few);
                prop_assert_eq!(&found.1, &expected.1, "{} {:?}", simd, few);
            }
        }
    }

    #[test]
    fn float16_queries_are_read_as_their_float32_values((queries, targets, cols) in pairs()) {
        let half: Vec<f16> = queries.iter().map(|x| f16::from_f32(x.clamp(-100.0, 100.0))).collect();
        let full: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
        let expected = plain_nearest(&full, &targets, cols);
        let features = Matrix::from_f16("features", &half, half.len() / cols, cols).unwrap();
        let centers = Matrix::from_f32("centers", &targets, targets.len() / cols, cols).unwrap();
        let control = Control::default();
        let context = Context { simd: Simd::best(), threads: 2, control: &control };
        for few in [Few::MEASURED, Few::NONE] {
            prop_assert_eq!(&nearest_with(&features, &centers, few, &context).unwrap(), &expected);
        }
    }

    #[test]
    fn position_histogram_equals_the_oracle(
        (images, height, width) in (1usize..4, 1usize..9, 1usize..9), classes in 1usize..12, radius in 0usize..7,
        seed in any::<u64>(), threads in 1usize..4
    ) {
        let values: Vec<i64> = (0..images * height * width)
            .map(|i| (seed.rotate_left(13 * i as u32) % classes as u64) as i64)
            .collect();
        let labels = Labels { values: &values, images, height, width };
        let control = Control::default();
        let context = Context { simd: Simd::best(), threads, control: &control };
        let patch = 2 * radius + 1;
        let found = position_histogram(&labels, classes, patch, &context).unwrap();
        prop_assert_eq!(found, plain_histogram(&labels, classes, patch));
    }

    #[test]
    fn changed_counts_equal_the_oracle_of_changed_labels(
        (images, height, width) in (2usize..5, 1usize..9, 1usize..9), classes in 1usize..20, radius in 0usize..7,
        seed in any::<u64>(), other in any::<u64>(), picked in 0usize..1000, threads in 1usize..4
    ) {
        let area = height * width;
        let label = |seed: u64, i: usize| (seed.rotate_left(13 * i as u32) % classes as u64) as i64;
        let before: Vec<i64> = (0..images * area).map(|i| label(seed, i)).collect();
        // The last image goes; every other label of the rest may be another one.
        let after: Vec<i64> = before[..(images - 1) * area].iter().enumerate()
            .map(|(i, old)| if i % 2 == 0 { label(other, i) } else { *old })
            .collect();
        let changes: Vec<(i64, i64, i32)> = before.iter().enumerate()
            .map(|(i, class)| ((i % area) as i64, *class, -1))
            .chain(after.iter().enumerate().map(|(i, class)| ((i % area) as i64, *class, 1)))
            .collect();
        let places: Vec<i64> = changes.iter().map(|change| change.0).collect();
        let of: Vec<i64> = changes.iter().map(|change| change.1).collect();
        let by: Vec<i32> = changes.iter().map(|change| change.2).collect();
        let changes = Changes { places: &places, classes: &of, by: &by };
        let control = Control::default();
        let context = Context { simd: Simd::best(), threads, control: &control };
        let patch = 2 * radius + 1;
        let labels = |values| Labels { values, images: values.len() / area, height, width };
        let counts = window_counts(&labels(&before), classes, patch, &context).unwrap();
        let counted = Counted { counts: &counts, height, width, classes, patch };
        let expected = plain_histogram(&labels(&after), classes, patch);
        prop_assert_eq!(&counted.histogram(&changes, images - 1, &context).unwrap(), &expected);
        // A threshold that is a share itself: what equals it is not above.
        let tau = expected[picked % expected.len()];
        let packed: Vec<u8> = expected.chunks(classes)
            .flat_map(|shares| shares.chunks(8))
            .map(|shares| shares.iter().enumerate().map(|(bit, share)| u8::from(*share > tau) << bit).sum())
            .collect();
        prop_assert_eq!(counted.sets(&changes, images - 1, tau, &context).unwrap(), packed);
    }

    #[test]
    fn position_sets_equal_the_oracle(
        (images, height, width) in (1usize..4, 1usize..9, 1usize..9), classes in 1usize..20, radius in 0usize..7,
        seed in any::<u64>(), picks in prop::collection::vec(0usize..4, 0..5), threads in 1usize..4
    ) {
        let values: Vec<u16> = (0..images * height * width)
            .map(|i| (seed.rotate_left(13 * i as u32) % classes as u64) as u16)
            .collect();
        let labels = Labels { values: &values, images, height, width };
        let chosen: Vec<i64> = picks.iter().map(|pick| (pick % images) as i64).collect();
        let control = Control::default();
        let context = Context { simd: Simd::best(), threads, control: &control };
        let found = position_sets(&labels, &chosen, classes, 2 * radius + 1, &context).unwrap();
        prop_assert_eq!(found, plain_sets(&labels, &chosen, classes, 2 * radius + 1));
    }
}

/// Values without structure from −1 to 1.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

#[test]
fn very_long_rows_are_bounded_by_their_bytes() {
    // Sums of their bytes just fit in 32 bits, or no longer do.
    for cols in [131_072, 131_136] {
        let (mut queries, mut targets) = (noise(1, 16 * cols), noise(2, 48 * cols));
        // Every value is cut off.
        queries[cols..2 * cols].fill(99.0);
        targets[cols..2 * cols].fill(100.0);
        targets[2 * cols..3 * cols].fill(-100.0);
        let features = Matrix::from_f32("features", &queries, 16, cols).unwrap();
        let centers = Matrix::from_f32("centers", &targets, 48, cols).unwrap();
        let control = Control::default();
        let context = Context {
            simd: Simd::best(),
            threads: 2,
            control: &control,
        };
        let expected = plain_nearest(&queries, &targets, cols);
        assert_eq!(
            nearest_with(&features, &centers, Few::NONE, &context).unwrap(),
            expected
        );
    }
}
