//! What is asked of a selection, and what comes of it.

use crate::{Error, Matrix, Result, memory};

/// What to select.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How many rows to pick.
    pub size: usize,
    /// The first pick where there are no `initial` centers.
    pub start: usize,
    /// Centers already chosen elsewhere; the first pick is then the row farthest from them.
    pub initial: Option<Matrix<'a>>,
    /// Also find the nearest of the first so many centers (`initial` first, then the picks) for every row.
    pub assign: Option<usize>,
}

impl Request<'_> {
    /// Refuses what cannot be selected from `points`.
    pub(super) fn validate(&self, points: &Matrix<'_>) -> Result<()> {
        let rows = points.rows();
        if self.size == 0 || self.size > rows {
            return Err(Error::invalid(
                "size",
                format!("from 1 to the number of rows ({rows})"),
                self.size,
            ));
        }
        let mut before = 0;
        if let Some(initial) = &self.initial {
            initial.check_width(points)?;
            before = initial.rows();
        } else if self.start >= rows {
            let allowed = format!("a row from 0 to {}", rows - 1);
            return Err(Error::invalid("start", allowed, self.start));
        }
        match self.assign {
            Some(assign) if assign == 0 || assign > before + self.size => {
                let allowed = format!("None or from 1 to the number of centers ({})", before + self.size);
                Err(Error::invalid("assign", allowed, assign))
            }
            _ => Ok(()),
        }
    }
}

/// What was selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Coreset {
    /// Rows in the order they were picked.
    pub indices: Vec<i64>,
    /// Distance of each pick to the centers before it; infinity for the first of all.
    pub radii: Vec<f32>,
    /// The nearest of the first `assign` centers, when asked for.
    pub assignment: Option<Assignment>,
}

/// Nearest centers of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Index of the nearest center, the earliest among equals.
    pub labels: Vec<i64>,
    /// Distance to it.
    pub distances: Vec<f32>,
}

impl Coreset {
    /// From the picks, each with its squared distance to those before it.
    pub(super) fn new(picks: &[(f64, usize)], assignment: Option<Assignment>) -> Self {
        Self {
            indices: memory::collected(picks.iter().map(|(_, row)| *row as i64)),
            radii: memory::collected(picks.iter().map(|(squared, _)| squared.sqrt() as f32)),
            assignment,
        }
    }
}

impl Assignment {
    /// From the center of each row and the distance to it.
    pub(super) fn new(found: impl Iterator<Item = (i64, f32)>) -> Self {
        let (labels, distances) = memory::unzipped(found);
        Self { labels, distances }
    }
}
