//! Exact greedy k-center (farthest-first) selection.

mod catchup;
mod cell;
pub(crate) mod centers;
mod cover;
mod hot;
mod lazy;
mod links;
mod one;
mod pass;
mod plain;
mod points;
mod scan;
mod settle;

use crate::nearest::same_width;
use crate::{Context, Error, Matrix, Result};

pub use lazy::{lazy, lazy_with};
pub use scan::scan;

/// What to select.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How many rows to pick.
    pub size: usize,
    /// The first pick where there are no `initial` centres.
    pub start: usize,
    /// Centres already chosen elsewhere; the first pick is then the row farthest from them.
    pub initial: Option<Matrix<'a>>,
    /// Also find the nearest of the first so many centres (`initial` first, then the picks) for every row.
    pub assign: Option<usize>,
}

/// What was selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Coreset {
    /// Rows in the order they were picked.
    pub indices: Vec<i64>,
    /// Distance of each pick to the centres before it; infinity for the first of all.
    pub radii: Vec<f32>,
    /// The nearest of the first `assign` centres, when asked for.
    pub assignment: Option<Assignment>,
}

/// Nearest centres of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Index of the nearest centre, the earliest among equals.
    pub labels: Vec<i64>,
    /// Distance to it.
    pub distances: Vec<f32>,
}

impl FromIterator<(i64, f32)> for Assignment {
    fn from_iter<T: IntoIterator<Item = (i64, f32)>>(found: T) -> Self {
        let (labels, distances) = found.into_iter().unzip();
        Self { labels, distances }
    }
}

/// Picks `request.size` rows of `points`, each the farthest from the centres before it; the lowest row among equals.
pub fn greedy(points: &Matrix<'_>, request: &Request<'_>, context: &Context<'_>) -> Result<Coreset> {
    let before = request.initial.map_or(0, |initial| initial.rows());
    if before.saturating_add(request.size) <= few(points.rows(), points.cols()) {
        scan(points, request, context)
    } else {
        lazy(points, request, context)
    }
}

/// Centres so few that a scan is done before the sketches of [`lazy`] are made.
///
/// Making them takes as long as `cols / 16` passes, from 2 to 16, and the basis as long as 128 passes over a square
/// matrix (measured). Many rows may lie on a disk, which is not read once a pick.
fn few(rows: usize, cols: usize) -> usize {
    const IN_MEMORY: usize = 1 << 25;
    if rows == 0 || rows.saturating_mul(cols) > IN_MEMORY {
        return 0;
    }
    ((cols / 16).clamp(2, 16) + 128 * cols / rows).min(rows / 4)
}

pub(crate) fn validate(points: &Matrix<'_>, request: &Request<'_>) -> Result<()> {
    let rows = points.rows();
    if request.size == 0 || request.size > rows {
        return Err(Error::invalid(
            "size",
            format!("from 1 to the number of rows ({rows})"),
            request.size,
        ));
    }
    let mut before = 0;
    if let Some(initial) = &request.initial {
        same_width(initial, points)?;
        before = initial.rows();
    } else if request.start >= rows {
        let allowed = format!("a row from 0 to {}", rows - 1);
        return Err(Error::invalid("start", allowed, request.start));
    }
    match request.assign {
        Some(assign) if assign == 0 || assign > before + request.size => {
            let allowed = format!("None or from 1 to the number of centers ({})", before + request.size);
            Err(Error::invalid("assign", allowed, assign))
        }
        _ => Ok(()),
    }
}
