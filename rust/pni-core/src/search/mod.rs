//! Exact nearest targets of many queries: bounds in float32, decisions by the canonical distance alone.
//!
//! 1. *Sketches* (see [`sketch`](crate::bounds::sketch)) at a byte a value: one short product bounds a distance from below; all
//!    are taken in register tiles.
//! 2. The target with the lowest bound is computed, which bounds the answer from above; what can still be nearer
//!    is thinned out by the rows' bytes and by a float32 distance.
//! 3. Where sketches leave too much (points without structure), products of all bytes of the rows bound instead.
//!    Short rows, and few, have no sketches, but float32 products over all columns.
//! 4. What float32 cannot tell apart is decided by [`squared`](crate::distance::squared), ties by the index.
//!
//! `README.md` beside this file says which way is taken when, and why.

mod filter;
mod mask;
mod prepare;
mod worker;

use crate::bounds::sketch::Basis;
use crate::threads::Team;
use crate::{Context, Error, Matrix, Result, memory};
pub(crate) use prepare::Prepared;
use prepare::Way;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use worker::PART;
pub(crate) use worker::{Scratch, Worker};

pub(crate) use mask::Mask;

/// With fewer queries or targets than these, bounds cost more than they save.
const FEW_QUERIES: usize = 16;
pub(crate) const FEW_TARGETS: usize = 48;

/// Up to so many columns a product over all of them costs as little as a sketch.
const NARROW: usize = 48;

/// How few rows sketches do not pay for: products over all columns serve them.
#[derive(Debug, Clone, Copy)]
pub struct Few {
    /// With fewer targets there are no sketches.
    pub targets: usize,
    /// Nor with fewer than twice as many, and fewer pairs of a query and a target than this.
    pub pairs: usize,
}

impl Few {
    /// Measured at 152 and 1024 columns.
    pub const MEASURED: Self = Self {
        targets: 128,
        pairs: 1 << 20,
    };
    /// Sketches for all but the smallest: takes small matrices through all that large ones go through.
    pub const NONE: Self = Self { targets: 0, pairs: 0 };
}

/// Rows that directions are made from: this many for one image, up to four times as many where that is soon repaid.
const BASIS_ROWS: usize = 256;

/// For every query the squared canonical distance to its nearest target, and that one's row (the lowest among
/// equals): infinity and −1 where `mask` allows none.
pub(crate) fn search(
    queries: &Matrix<'_>,
    targets: &Matrix<'_>,
    mask: Option<&Mask<'_>>,
    few: Few,
    team: &Team<'_>,
    context: &Context<'_>,
) -> Result<Vec<(f64, i64)>> {
    targets.check_finite(team)?;
    let mut buffer = Vec::new();
    let rows = targets.load_all(&mut buffer, context.control)?;
    let mut prepared = Prepared::new(rows, targets.cols(), mask.map(Mask::order));
    let basis;
    if queries.rows() >= FEW_QUERIES && targets.rows() >= FEW_TARGETS {
        let wide = queries.cols() > NARROW;
        let pairs = queries.rows().saturating_mul(targets.rows());
        let many = targets.rows() >= 2 * few.targets || (targets.rows() >= few.targets && pairs >= few.pairs);
        if !(wide && many) {
            prepared = prepared.with_products(context.simd);
        }
        if wide && matches!(prepared.way, Way::Pairs) {
            let more = [targets, queries][usize::from(queries.rows() > targets.rows())];
            let sample = (queries.rows() / 64).clamp(BASIS_ROWS, 4 * BASIS_ROWS);
            basis = Basis::of(more, sample, context.simd, team)?;
            prepared = prepared.with_sketches(&basis, context.simd, team)?;
        }
    }
    run(queries, &prepared, mask, team, context)
}

fn run(
    queries: &Matrix<'_>,
    prepared: &Prepared<'_>,
    mask: Option<&Mask<'_>>,
    team: &Team<'_>,
    context: &Context<'_>,
) -> Result<Vec<(f64, i64)>> {
    let worker = Worker::new(prepared, mask, queries.rows(), 0.0, context);
    let mut found = memory::filled((f64::INFINITY, -1), queries.rows());
    let bad = AtomicUsize::new(usize::MAX);
    let idle: Mutex<Vec<Scratch>> = Mutex::default();
    team.each_chunk(&mut found, PART, |part, found| {
        // Only parts behind a bad row are left out: the first of all such rows is the one that is told.
        if bad.load(Ordering::Relaxed) < part * PART {
            return;
        }
        let own = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = own.unwrap_or_default();
        if let Some(row) = worker.load(queries, part * PART, found, &mut scratch) {
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
