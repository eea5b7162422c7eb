//! The lazy selection equals the plain scan, bit by bit, at every SIMD level and any number of threads.

use half::f16;
use pni_core::coreset::{Request, full_scan, greedy, lazy, lazy_with};
use pni_core::{Context, Control, Error, Matrix, Simd};
use proptest::prelude::*;

/// Values that collide, nearly collide, overflow or underflow.
fn values() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (-2i8..3).prop_map(f32::from),
        2 => -1.0f32..1.0,
        1 => prop::sample::select(vec![1e30f32, -1e30, 1e-40, 1e4, 10_001.0, f32::MAX, -0.0]),
    ]
}

fn matrices() -> impl Strategy<Value = (Vec<f32>, usize, usize)> {
    let shape = prop_oneof![(1usize..80, 1usize..24), (1usize..120, 30usize..150)];
    shape.prop_flat_map(|(rows, cols)| (prop::collection::vec(values(), rows * cols), Just(rows), Just(cols)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lazy_equals_scan((data, rows, cols) in matrices(), share in 0.0f64..1.0, grow in 0usize..4, threads in 1usize..4) {
        let points = Matrix::from_f32("features", &data, rows, cols).unwrap();
        let grow = grow.min(rows);
        let old = &data[(rows - grow) * cols..];
        let initial = (grow > 0).then(|| Matrix::from_f32("initial", old, grow, cols).unwrap());
        let size = ((rows as f64 * share) as usize).max(1);
        let control = Control::default();
        for assign in [None, Some(1), Some(grow + size)] {
            let request = Request { size, start: rows / 2, initial, assign };
            let context = Context { simd: Simd::from_setting(Some("scalar")).unwrap(), threads: 1, control: &control };
            let expected = full_scan(&points, &request, &context).unwrap();
            for simd in Simd::available() {
                let context = Context { simd, threads, ..context };
                prop_assert_eq!(&lazy(&points, &request, &context).unwrap(), &expected);
                for hot in [1, 7] {
                    prop_assert_eq!(&lazy_with(&points, &request, hot, &context).unwrap(), &expected);
                }
                prop_assert_eq!(&greedy(&points, &request, &context).unwrap(), &expected);
            }
        }
    }

    #[test]
    fn float16_is_read_as_its_float32_values((data, rows, cols) in matrices()) {
        let half: Vec<f16> = data.iter().map(|x| f16::from_f32(x.clamp(-100.0, 100.0))).collect();
        let full: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
        let control = Control::default();
        let context = Context { simd: Simd::best(), threads: 2, control: &control };
        let request = Request { size: rows, start: 0, initial: None, assign: Some(rows) };
        let found = greedy(&Matrix::from_f16("features", &half, rows, cols).unwrap(), &request, &context);
        let expected = full_scan(&Matrix::from_f32("features", &full, rows, cols).unwrap(), &request, &context);
        prop_assert_eq!(found, expected);
    }
}

/// Points near a few planes, so that bytes of sketches are fine enough to be used, and distances nearly tie.
#[test]
fn points_that_bytes_can_tell_apart_are_picked_as_the_scan_does() {
    let (rows, cols) = (4_000, 40);
    let mut state = 3u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let planes: Vec<f32> = (0..6 * cols).map(|_| next()).collect();
    let data: Vec<f32> = (0..rows)
        .flat_map(|_| {
            let weights: [f32; 6] = std::array::from_fn(|_| next());
            let value = |j: usize| (0..6).map(|k| weights[k] * planes[k * cols + j]).sum::<f32>();
            (0..cols).map(|j| value(j) + 0.02 * next()).collect::<Vec<_>>()
        })
        .collect();
    let points = Matrix::from_f32("features", &data, rows, cols).unwrap();
    let control = Control::default();
    for (size, assign) in [(500, None), (300, Some(300)), (300, Some(100))] {
        let request = Request {
            size,
            start: 7,
            initial: None,
            assign,
        };
        let context = Context {
            simd: Simd::best(),
            threads: 2,
            control: &control,
        };
        let expected = full_scan(&points, &request, &context).unwrap();
        for simd in Simd::available() {
            let context = Context { simd, ..context };
            for hot in [1, 250, 1_000] {
                let found = lazy_with(&points, &request, hot, &context).unwrap();
                assert!(found == expected, "{simd} {size} {assign:?} {hot}");
            }
        }
    }
}

#[test]
fn a_cancelled_run_says_so() {
    let data = vec![1.0f32; 4_000];
    let points = Matrix::from_f32("features", &data, 1_000, 4).unwrap();
    let control = Control::default();
    control.cancel();
    let context = Context {
        simd: Simd::best(),
        threads: 2,
        control: &control,
    };
    let request = Request {
        size: 10,
        start: 0,
        initial: None,
        assign: None,
    };
    assert_eq!(lazy(&points, &request, &context), Err(Error::Cancelled));
    assert_eq!(greedy(&points, &request, &context), Err(Error::Cancelled));
    assert_eq!(full_scan(&points, &request, &context), Err(Error::Cancelled));
}

#[test]
fn requests_out_of_range_are_refused() {
    let data = vec![1.0f32; 12];
    let points = Matrix::from_f32("features", &data, 4, 3).unwrap();
    let narrow = Matrix::from_f32("initial", &data, 6, 2).unwrap();
    let control = Control::default();
    let context = Context {
        simd: Simd::best(),
        threads: 1,
        control: &control,
    };
    let good = Request {
        size: 2,
        start: 0,
        initial: None,
        assign: None,
    };
    for bad in [
        Request { size: 0, ..good },
        Request { size: 5, ..good },
        Request { start: 4, ..good },
        Request {
            assign: Some(3),
            ..good
        },
        Request {
            assign: Some(0),
            ..good
        },
        Request {
            initial: Some(narrow),
            ..good
        },
    ] {
        assert!(
            matches!(greedy(&points, &bad, &context), Err(Error::Invalid { .. })),
            "{bad:?}"
        );
    }
    assert!(Matrix::from_f32("features", &data, 4, 4).is_err());
    assert!(Matrix::from_f32("features", &[], 0, 4).is_err());
}
