//! The targets, made ready for a call.

use super::bytes::{BytePanels, LONGEST_ROW};
use super::pair::Bounds;
use super::space::{LONGEST, Space};
use super::tile::{LANES, Panels};
use crate::bytes::RowBytes;
use crate::sketch::{Basis, WIDTH};
use crate::threads::Team;
use crate::{Context, Result, Simd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Targets whose sketches are made together.
const STEP: usize = 48;

/// How the targets of a query are looked through.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// One at a time.
    Pairs,
    /// By float32 products over all columns.
    Products,
    /// By sketches, and bytes.
    Sketches(&'a Basis),
}

/// Sketches and bytes of the targets.
#[derive(Debug)]
pub struct Sketches<'a> {
    /// What sketches are made with.
    pub basis: &'a Basis,
    /// The sketches' bytes.
    pub short: RowBytes,
    pub short_panels: BytePanels,
    /// The largest slack of a sketch.
    pub slack: f32,
    /// The rows' bytes.
    pub bytes: RowBytes,
    byte_panels: OnceLock<BytePanels>,
}

impl Sketches<'_> {
    /// The rows' bytes in panels, made when first asked for; None where rows are too long for their sums.
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
    /// Bounds on one pair at a time.
    pub bounds: Bounds,
    /// Whether every pair is looked at one at a time.
    pub direct: bool,
    /// Sketches, unless rows are too short for them.
    pub sketches: Option<Sketches<'a>>,
    /// Where short rows are bounded.
    pub space: Space,
    full: OnceLock<Panels>,
    simd: Simd,
}

impl<'a> Prepared<'a> {
    /// `targets`, of `width` values, are finite; `order` gives the target of each column.
    pub fn new(
        targets: &'a [f32],
        width: usize,
        order: Option<&'a [u32]>,
        way: Way<'a>,
        team: &Team<'_>,
        context: &Context<'_>,
    ) -> Result<Self> {
        let count = targets.len() / width;
        let mut prepared = Self {
            targets,
            order,
            width,
            count,
            space: Space::new(targets, width),
            bounds: Bounds::new(width),
            direct: matches!(way, Way::Pairs),
            sketches: None,
            full: OnceLock::new(),
            simd: context.simd,
        };
        if let Way::Sketches(basis) = way {
            let (values, slack) = prepared.sketch(basis, team)?;
            prepared.direct = slack == f32::INFINITY;
            let sketch = |column| &values[prepared.index(column) * WIDTH..][..WIDTH];
            let short = RowBytes::new(count, vec![0.0; WIDTH], sketch, context.simd, team)?;
            let row = |column| prepared.target(column).1;
            let bytes = RowBytes::new(count, basis.mean.clone(), row, context.simd, team)?;
            prepared.sketches = Some(Sketches {
                basis,
                short_panels: BytePanels::new(&short),
                short,
                slack,
                bytes,
                byte_panels: OnceLock::new(),
            });
        }
        Ok(prepared)
    }

    /// The target of a column.
    fn index(&self, column: usize) -> usize {
        self.order.map_or(column, |order| order[column] as usize)
    }

    /// The target of a column, and its values.
    pub fn target(&self, column: usize) -> (usize, &'a [f32]) {
        let target = self.index(column);
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

    /// The targets' sketches and their largest slack.
    fn sketch(&self, basis: &Basis, team: &Team<'_>) -> Result<(Vec<f32>, f32)> {
        let (mut sketches, mut slack) = (vec![0.0; self.count * WIDTH], vec![0.0; self.count]);
        let parts = sketches.chunks_mut(STEP * WIDTH).zip(slack.chunks_mut(STEP));
        let parts: Vec<_> = parts
            .zip(self.targets.chunks(STEP * self.width))
            .map(Mutex::new)
            .collect();
        team.each(parts.len(), |part| {
            let ((sketches, slack), rows) = &mut *parts[part].lock().unwrap_or_else(PoisonError::into_inner);
            basis.apply(self.simd, rows, sketches, slack);
        })?;
        drop(parts);
        let most = slack.iter().copied().fold(0.0, f32::max);
        Ok((sketches, most))
    }
}
