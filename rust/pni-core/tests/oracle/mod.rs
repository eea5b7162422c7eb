//! The kernels as one would first write them: every pair looked at, nothing bounded, one thread, no SIMD.

use pni_core::histogram::Labels;

/// The canonical squared distance: sixteen float64 lanes, folded in halves.
#[must_use]
pub fn plain_squared(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 16];
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let difference = f64::from(*a) - f64::from(*b);
        lanes[i % 16] += difference * difference;
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// Index of, and distance to, the nearest row of `targets`; the lowest among equals.
#[must_use]
pub fn plain_nearest(queries: &[f32], targets: &[f32], cols: usize) -> (Vec<i64>, Vec<f32>) {
    let rows = targets.len() / cols;
    let (distances, indices) = plain_likelihood(
        queries,
        targets,
        cols,
        &vec![0; rows],
        &vec![1; queries.len() / cols],
        1,
    );
    (indices, distances)
}

/// Distance to, and index of, the nearest allowed row of `targets`; infinity and −1 where none is.
#[must_use]
pub fn plain_likelihood(
    queries: &[f32],
    targets: &[f32],
    cols: usize,
    groups: &[i64],
    allowed: &[u8],
    stride: usize,
) -> (Vec<f32>, Vec<i64>) {
    let of = |(row, query): (usize, &[f32])| {
        let mut best = (f64::INFINITY, -1);
        for (i, target) in targets.chunks_exact(cols).enumerate() {
            let group = groups[i] as usize;
            let squared = plain_squared(query, target);
            if allowed[row * stride + group / 8] >> (group % 8) & 1 == 1 && squared < best.0 {
                best = (squared, i as i64);
            }
        }
        (best.0.sqrt() as f32, best.1)
    };
    queries.chunks_exact(cols).enumerate().map(of).unzip()
}

/// The share of each class in the clipped window around each position, counted label by label.
#[must_use]
pub fn plain_histogram(labels: &Labels<'_>, classes: usize, patch: usize) -> Vec<f32> {
    let (height, width, radius) = (labels.height, labels.width, patch / 2);
    let mut histogram = Vec::with_capacity(height * width * classes);
    for y in 0..height {
        for x in 0..width {
            let mut counts = vec![0u32; classes];
            for image in labels.values.chunks_exact(height * width) {
                for (row, line) in image.chunks_exact(width).enumerate() {
                    for (column, label) in line.iter().enumerate() {
                        if row.abs_diff(y) <= radius && column.abs_diff(x) <= radius {
                            counts[*label as usize] += 1;
                        }
                    }
                }
            }
            let total = f64::from(counts.iter().sum::<u32>());
            histogram.extend(counts.iter().map(|count| (f64::from(*count) / total) as f32));
        }
    }
    histogram
}

/// The classes of the chosen images in the clipped window around each position, packed, label by label.
#[must_use]
pub fn plain_sets(labels: &Labels<'_, u16>, chosen: &[i64], classes: usize, patch: usize) -> Vec<u8> {
    let (height, width, bytes) = (labels.height, labels.width, classes.div_ceil(8));
    let mut sets = vec![0u8; height * width * bytes];
    for (position, set) in sets.chunks_exact_mut(bytes).enumerate() {
        let (y, x) = (position / width, position % width);
        for image in chosen {
            for place in 0..height * width {
                let (row, column) = (place / width, place % width);
                if row.abs_diff(y) <= patch / 2 && column.abs_diff(x) <= patch / 2 {
                    let label = usize::from(labels.values[*image as usize * height * width + place]);
                    set[label / 8] |= 1 << (label % 8);
                }
            }
        }
    }
    sets
}

/// The picks and their distances to those before them.
#[must_use]
pub fn plain_coreset(points: &[f32], cols: usize, size: usize, start: usize) -> (Vec<i64>, Vec<f32>) {
    let rows = points.len() / cols;
    let row = |i: usize| &points[i * cols..][..cols];
    let mut nearest = vec![f64::INFINITY; rows];
    let mut picked = vec![false; rows];
    let (mut indices, mut radii) = (Vec::new(), Vec::new());
    let mut pick = start;
    while indices.len() < size {
        indices.push(pick as i64);
        radii.push(nearest[pick].sqrt() as f32);
        picked[pick] = true;
        for (i, nearest) in nearest.iter_mut().enumerate() {
            *nearest = nearest.min(plain_squared(row(i), row(pick)));
        }
        // The first of the farthest; among points at no distance, the first not yet picked.
        pick = (0..rows).filter(|i| !picked[*i]).fold(usize::MAX, |best, i| {
            if best == usize::MAX || nearest[i] > nearest[best] {
                i
            } else {
                best
            }
        });
    }
    (indices, radii)
}
