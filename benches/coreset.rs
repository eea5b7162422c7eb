//! `cargo bench -p pni-core --bench coreset`: the selection against the plain scan on points with structure.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pni_core::coreset::{Request, full_scan, greedy};
use pni_core::{Context, Control, Matrix, Simd};

/// Points around a few hundred centers with a decaying spectrum, from a fixed linear congruential generator.
fn points(rows: usize, cols: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let centers: Vec<f32> = (0..256 * cols)
        .map(|i| uniform() * 8.0 / (1.0 + (i % cols) as f32).sqrt())
        .collect();
    (0..rows * cols)
        .map(|i| centers[(i / cols * 7919) % 256 * cols + i % cols] + uniform() / (1.0 + (i % cols) as f32).sqrt())
        .collect()
}

fn coreset(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coreset");
    group.sample_size(10);
    for (rows, cols) in [(20_000, 3), (20_000, 152), (10_000, 1024)] {
        let data = points(rows, cols);
        let matrix = Matrix::from_f32("features", &data, rows, cols).expect("a valid shape");
        let request = Request {
            size: rows / 100,
            start: 0,
            initial: None,
            assign: None,
        };
        let control = Control::default();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let context = Context {
            simd: Simd::best(),
            threads,
            control: &control,
        };
        let shape = format!("{rows}x{cols}");
        group.bench_function(BenchmarkId::new("greedy", &shape), |b| {
            b.iter(|| greedy(&matrix, &request, &context));
        });
        group.bench_function(BenchmarkId::new("scan", &shape), |b| {
            b.iter(|| full_scan(&matrix, &request, &context));
        });
    }
    group.finish();
}

criterion_group!(benches, coreset);
criterion_main!(benches);
