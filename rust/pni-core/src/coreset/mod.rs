//! Exact greedy k-center (farthest-first) selection.

mod catch_up;
mod centers;
mod cover;
mod full_scan;
mod hot;
mod later;
mod lazy;
mod low_dimensional;
mod points;
mod request;
mod settle;
mod shard;

use crate::{Context, Matrix, Result};

pub use full_scan::full_scan;
pub use lazy::{lazy, lazy_with};
pub use request::{Assignment, Coreset, Request};
pub use shard::{HotRows, Shard, pick_hot};

/// Picks `request.size` rows of `points`, each the farthest from the centers before it; the lowest row among equals.
pub fn greedy(points: &Matrix<'_>, request: &Request<'_>, context: &Context<'_>) -> Result<Coreset> {
    let before = request.initial.map_or(0, |initial| initial.rows());
    if before.saturating_add(request.size) <= few_centers(points.rows(), points.cols()) {
        full_scan(points, request, context)
    } else {
        lazy(points, request, context)
    }
}

/// Centers so few that a scan is done before the sketches of [`lazy`] are made.
///
/// Making them takes as long as `cols / 16` passes, from 2 to 16, and the basis as long as 128 passes over a square
/// matrix (measured). Many rows may lie on a disk, which is not read once a pick.
fn few_centers(rows: usize, cols: usize) -> usize {
    const IN_MEMORY: usize = 1 << 25;
    if rows == 0 || rows.saturating_mul(cols) > IN_MEMORY {
        return 0;
    }
    ((cols / 16).clamp(2, 16) + 128 * cols / rows).min(rows / 4)
}
