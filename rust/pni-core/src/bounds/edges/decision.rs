//! What holds whatever bounds are used: the decision, the values that are read, and that no constant is left out.

use super::{DOUBLED, LOST, Random};
use crate::bounds::pair::PairBounds;
use crate::coreset::{Request, full_scan, lazy_with};
use crate::distance::squared;
use crate::nearest::{Few, nearest_with};
use crate::{Context, Control, Matrix, Simd};
use half::f16;
use std::fs;
use std::path::Path;

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
    let page = include_str!("../BOUNDS.md");
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("bounds/edges") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                for name in constants(&fs::read_to_string(&path).unwrap()) {
                    assert!(page.contains(&format!("`{name}`")), "{name} of {}", path.display());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 60, "{count}");
}
