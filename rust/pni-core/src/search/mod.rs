//! Exact nearest targets of many queries: bounds in float32, decisions by the canonical distance alone.
//!
//! 1. *Sketches*: each row's products with a few directions of large variance, and the length of the rest. One
//!    short product bounds a distance from below; all are taken in register tiles.
//! 2. The target with the lowest bound is computed, which bounds the answer from above; what can still be nearer
//!    is thinned out by the rows' bytes and by a float32 distance.
//! 3. Where sketches leave too much (points without structure), products over all columns bound instead: of bytes, or
//!    of float32 where rows are short.
//! 4. What float32 cannot tell apart is decided by [`squared`](crate::distance::squared), ties by the index.

mod basis;
mod bytes;
mod filter;
mod mask;
mod pair;
mod prepare;
mod space;
mod tile;
mod worker;

use crate::threads::Team;
use crate::{Context, Error, Matrix, Result};
use prepare::Prepared;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use worker::{Scratch, Worker};

pub(crate) use mask::Mask;

/// Unit of rounding of float32.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Rows that are one piece of work.
const PIECE: usize = 64;

/// For every query the squared canonical distance to its nearest target, and that one's row (the lowest among
/// equals): infinity and −1 where `mask` allows none.
pub(crate) fn search(
    queries: &Matrix<'_>,
    targets: &Matrix<'_>,
    mask: Option<&Mask<'_>>,
    team: &Team<'_>,
    context: &Context<'_>,
) -> Result<Vec<(f64, i64)>> {
    targets.check_finite(team)?;
    let mut buffer = Vec::new();
    let rows = targets.load(0..targets.rows(), &mut buffer);
    let prepared = Prepared::new(queries, rows, mask.map(Mask::order), team, context)?;
    let worker = Worker::new(&prepared, mask, context);
    let mut found = vec![(f64::INFINITY, -1); queries.rows()];
    let bad = AtomicUsize::new(usize::MAX);
    let idle: Mutex<Vec<Scratch>> = Mutex::default();
    team.each_chunk(&mut found, PIECE, |piece, found| {
        // Pieces are handed out in order, so no row before a bad one is left out.
        if bad.load(Ordering::Relaxed) != usize::MAX {
            return;
        }
        let own = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = own.unwrap_or_default();
        if let Some(row) = worker.piece(queries, piece * PIECE, found, &mut scratch) {
            bad.fetch_min(row, Ordering::Relaxed);
        }
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    })?;
    match bad.into_inner() {
        usize::MAX => Ok(found),
        row => Err(Error::NotFinite {
            what: queries.what(),
            row,
        }),
    }
}
