//! The targets, made ready for a call.

use super::PIECE;
use super::bytes::{BytePanels, LONGEST_ROW};
use super::pair::Bounds;
use super::space::{LONGEST, Space};
use super::tile::{GROUP, LANES, Panels, Products, Rows, stride};
use crate::bytes::RowBytes;
use crate::threads::Team;
use crate::{Context, Matrix, Result, Simd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// With fewer queries or targets than these, bounds cost more than they save.
const FEW_QUERIES: usize = 16;
const FEW_TARGETS: usize = 48;
/// Up to so many columns a product over all of them costs as little as a sketch.
const NARROW: usize = 48;

/// Sketches and bytes of the targets.
#[derive(Debug)]
pub struct Sketches {
    /// What sketches are made with.
    pub directions: Panels,
    /// The sketches, negated, as columns; half the squared lengths as addends.
    pub panels: Panels,
    /// The columns' bytes.
    pub bytes: RowBytes,
    byte_panels: OnceLock<BytePanels>,
}

impl Sketches {
    /// The columns' bytes in panels, made when first asked for; None where rows are too long for their sums.
    pub fn byte_panels(&self) -> Option<&BytePanels> {
        let make = || BytePanels::new(&self.bytes);
        (self.bytes.pieces() <= LONGEST_ROW).then(|| self.byte_panels.get_or_init(make))
    }
}

/// The targets of one call; a *column* is a target in the order of the mask.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// All values of the targets, in their own order.
    pub targets: &'a [f32],
    order: Option<&'a [u32]>,
    /// Values of a target.
    pub width: usize,
    /// Number of targets.
    pub count: usize,
    /// Where bounds are computed.
    pub space: Space,
    /// Bounds on one pair at a time.
    pub bounds: Bounds,
    /// Whether every pair is looked at one at a time.
    pub direct: bool,
    /// Sketches, unless rows are too short for them.
    pub sketches: Option<Sketches>,
    full: OnceLock<Panels>,
    simd: Simd,
}

impl<'a> Prepared<'a> {
    /// `targets` are finite; `order` gives the target of each column.
    pub fn new(
        queries: &Matrix<'_>,
        targets: &'a [f32],
        order: Option<&'a [u32]>,
        team: &Team<'_>,
        context: &Context<'_>,
    ) -> Result<Self> {
        let width = queries.cols();
        let count = targets.len() / width;
        let mut prepared = Self {
            targets,
            order,
            width,
            count,
            space: Space::new(targets, width),
            bounds: Bounds::new(width),
            direct: queries.rows() < FEW_QUERIES || count < FEW_TARGETS,
            sketches: None,
            full: OnceLock::new(),
            simd: context.simd,
        };
        if !prepared.direct && width > NARROW {
            let directions = prepared.space.directions(context.simd, targets, queries);
            let mut panels = Panels::new(LANES, count, f32::INFINITY);
            prepared.direct = !prepared.fill(&directions, &mut panels, team)?;
            let (simd, origin) = (context.simd, prepared.space.origin());
            let bytes = RowBytes::new(count, origin, |column| prepared.target(column).1, simd, team)?;
            prepared.sketches = Some(Sketches {
                directions,
                panels,
                bytes,
                byte_panels: OnceLock::new(),
            });
        }
        Ok(prepared)
    }

    /// The target of a column, and its values.
    pub fn target(&self, column: usize) -> (usize, &'a [f32]) {
        let target = self.order.map_or(column, |order| order[column] as usize);
        (target, &self.targets[target * self.width..][..self.width])
    }

    /// Panels of short rows, all their columns, made when first asked for; None where some target is too far from the rest.
    pub fn full(&self) -> Option<&Panels> {
        let panels = self.full.get_or_init(|| {
            let mut panels = Panels::new(self.width, self.count, f32::INFINITY);
            let share = 0.5 * (1.0 - self.space.full_error()) as f32;
            let mut row = vec![0.0; self.width];
            for (panel, (values, base)) in panels.parts().enumerate() {
                for lane in 0..LANES.min(self.count - panel * LANES) {
                    let target = self.target(panel * LANES + lane).1;
                    base[lane] = share * self.space.center(self.simd, target, &mut row);
                    for (values, value) in values.iter_mut().zip(&row) {
                        values[lane] = -value;
                    }
                }
                if !base.iter().all(|base| *base <= LONGEST || base.is_infinite()) {
                    return Panels::new(self.width, 0, 0.0);
                }
            }
            panels
        });
        (panels.count() > 0).then_some(panels)
    }

    /// Makes the sketches; whether no target is too long to be bounded.
    fn fill(&self, directions: &Panels, panels: &mut Panels, team: &Team<'_>) -> Result<bool> {
        let share = 0.5 * (1.0 - self.space.bound_error()) as f32;
        let sound = AtomicBool::new(true);
        let parts: Vec<_> = panels.parts().map(Mutex::new).collect();
        let (width, per_piece) = (self.width, PIECE / LANES);
        team.each(parts.len().div_ceil(per_piece), |piece| {
            let stride = stride(width);
            let mut rows = vec![0.0; LANES * stride];
            let mut sketches = Products::default();
            for (panel, part) in parts.iter().enumerate().skip(piece * per_piece).take(per_piece) {
                let used = LANES.min(self.count - panel * LANES);
                let groups = used.next_multiple_of(GROUP);
                let mut norms = [0.0; LANES];
                for (lane, row) in rows.chunks_exact_mut(stride).enumerate().take(used) {
                    let target = self.target(panel * LANES + lane).1;
                    norms[lane] = self.space.center(self.simd, target, &mut row[..width]);
                }
                rows[used * stride..].fill(0.0);
                if !norms.iter().all(|norm| *norm <= LONGEST) {
                    sound.store(false, Ordering::Relaxed);
                }
                let rows = Rows {
                    values: &rows[..groups * stride],
                    stride,
                };
                self.space.sketch(self.simd, rows, &norms, directions, &mut sketches);
                let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                let (values, base) = &mut *part;
                for (lane, sketch) in sketches.values.iter().enumerate().take(used) {
                    base[lane] = share * norms[lane];
                    for (values, value) in values.iter_mut().zip(sketch) {
                        values[lane] = -value;
                    }
                }
            }
        })?;
        Ok(sound.into_inner())
    }
}
