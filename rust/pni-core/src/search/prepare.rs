//! The targets, made ready for a call.

use crate::bounds::bytes::RowBytes;
use crate::bounds::bytes::panels::{BytePanels, ByteRows, LONGEST_ROW};
use crate::bounds::pair::PairBounds;
use crate::bounds::products::space::{LONGEST, Space};
use crate::bounds::products::{PANEL, Panels};
use crate::bounds::root_above;
use crate::bounds::sketch::{Basis, WIDTH};
use crate::threads::Team;
use crate::{Result, Simd, memory};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Targets whose sketches a thread makes at a time.
const PART: usize = 48;

/// Slack of a sketch, in medians of all, beyond which its column is left in doubt.
const OUTLYING: f32 = 8.0;

/// Targets that are looked at one by one beside products, where a column in 32 is fewer.
const FEW_FAR: usize = 4;

/// How the targets of a query are looked through.
#[derive(Debug)]
pub enum Way<'a> {
    /// One at a time.
    Pairs,
    /// By float32 products over all columns.
    Products(Full),
    /// By sketches, and bytes.
    Sketches(Box<Sketches<'a>>),
}

/// Targets without sketches, all their columns.
#[derive(Debug)]
pub struct Full {
    pub space: Space,
    pub panels: Panels,
    /// Columns too far from the rest for products, which have no score: each is looked at by itself.
    pub far: Vec<u32>,
}

/// Sketches and bytes of the targets.
#[derive(Debug)]
pub struct Sketches<'a> {
    /// What sketches are made with.
    pub basis: &'a Basis,
    /// The sketches' bytes.
    pub short: RowBytes,
    pub short_panels: BytePanels,
    /// The largest slack of a sketch whose column is not in doubt.
    pub slack: f32,
    /// The rows' bytes.
    pub bytes: RowBytes,
    byte_panels: OnceLock<BytePanels>,
}

impl Sketches<'_> {
    /// What the bytes of sketches must exceed to prove a column farther than `most` (squared) from row `id` of `rows`.
    pub fn limit(&self, rows: &ByteRows, id: usize, most: f64) -> f32 {
        let reach = self.short.reach(root_above(most) + self.slack);
        self.short_panels.limit(rows, id, reach)
    }

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
    pub bounds: PairBounds,
    pub way: Way<'a>,
}

impl<'a> Prepared<'a> {
    /// `targets`, of `width` values, are finite; `order` gives the target of each column. They are looked through one at a
    /// time.
    pub fn new(targets: &'a [f32], width: usize, order: Option<&'a [u32]>) -> Self {
        Self {
            targets,
            order,
            width,
            count: targets.len() / width,
            bounds: PairBounds::new(width),
            way: Way::Pairs,
        }
    }

    /// With float32 products over all columns, unless many targets are too far from the rest.
    pub fn with_products(mut self, simd: Simd) -> Self {
        let space = Space::new(self.targets, self.width);
        let mut panels = Panels::new(self.width, self.count, f32::INFINITY);
        let share = 0.5 * (1.0 - space.full_error()) as f32;
        let (mut row, mut far) = (memory::zeros(self.width), Vec::new());
        for (panel, (values, base)) in panels.parts().enumerate() {
            for lane in 0..PANEL.min(self.count - panel * PANEL) {
                let column = panel * PANEL + lane;
                let length = space.center(simd, self.target(column).1, &mut row);
                // Written so that NaN counts as too far.
                if length <= LONGEST {
                    base[lane] = share * length;
                    for (values, value) in values.iter_mut().zip(&row) {
                        values[lane] = -value;
                    }
                } else {
                    base[lane] = f32::INFINITY;
                    memory::push(&mut far, column as u32);
                }
            }
        }
        if far.len() <= FEW_FAR.max(self.count / PANEL) {
            self.way = Way::Products(Full { space, panels, far });
        }
        self
    }

    /// With sketches, and bytes.
    pub fn with_sketches(self, basis: &'a Basis, simd: Simd, team: &Team<'_>) -> Result<Self> {
        let (values, slack) = self.sketch(basis, simd, team)?;
        self.with_known_sketches(basis, &values, &slack, simd, team)
    }

    /// The same, given the targets' sketches and slacks in the targets' order.
    pub fn with_known_sketches(
        mut self,
        basis: &'a Basis,
        values: &[f32],
        slack: &[f32],
        simd: Simd,
        team: &Team<'_>,
    ) -> Result<Self> {
        let sketch = |column| &values[self.index(column) * WIDTH..][..WIDTH];
        let short = RowBytes::new(self.count, vec![0.0; WIDTH], sketch, simd, team)?;
        let mut short_panels = BytePanels::new(&short);
        let mut ordered = memory::collected(slack.iter().copied());
        let (_, median, _) = ordered.select_nth_unstable_by(self.count / 2, f32::total_cmp);
        // One that lies far from all others must not blur what is known of them.
        let largest = (*median * OUTLYING).min(f32::MAX);
        let mut most = 0.0f32;
        for column in 0..self.count {
            let slack = slack[self.index(column)];
            if slack <= largest {
                most = most.max(slack);
            } else {
                short_panels.doubt(column);
            }
        }
        let row = |column| self.target(column).1;
        let mean = memory::collected(basis.mean.iter().copied());
        let bytes = RowBytes::new(self.count, mean, row, simd, team)?;
        self.way = Way::Sketches(Box::new(Sketches {
            basis,
            short,
            short_panels,
            slack: most,
            bytes,
            byte_panels: OnceLock::new(),
        }));
        Ok(self)
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

    /// The targets' sketches and slacks, in the targets' order.
    fn sketch(&self, basis: &Basis, simd: Simd, team: &Team<'_>) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mut sketches, mut slack) = (memory::zeros(self.count * WIDTH), memory::zeros(self.count));
        let parts = sketches.chunks_mut(PART * WIDTH).zip(slack.chunks_mut(PART));
        let parts = parts.zip(self.targets.chunks(PART * self.width));
        let parts = memory::collected(parts.map(Mutex::new));
        team.each(parts.len(), |part| {
            let ((sketches, slack), rows) = &mut *parts[part].lock().unwrap_or_else(PoisonError::into_inner);
            basis.apply(simd, rows, sketches, slack);
        })?;
        drop(parts);
        Ok((sketches, slack))
    }
}
