//! Where rows without sketches are bounded: moved to the targets' mean and scaled by a power of two. All errors made on the way
//! are accounted for here.

use super::rounding;
use crate::Simd;
use crate::bounds::UNIT;
use crate::bounds::center::center;
use crate::bounds::pair::relative_error;
use crate::memory;
use crate::sample::sample;

/// Squared lengths above this are not bounded but computed: far from it nothing over- or underflows unnoticed
/// (BOUNDS.md, *Products*).
pub const LONGEST: f32 = (1u64 << 50) as f32;
/// What underflow can take from a squared distance, scaled as here (BOUNDS.md, *Products*).
const UNDERFLOW: f64 = 1e-30;
/// What centering both rows adds, in units of both squared lengths (BOUNDS.md, *Products*).
const CENTERING: f64 = 8.0 * UNIT;
/// Times what the analysis gives (BOUNDS.md, *Products*).
const SAFETY: f64 = 2.0;
/// More than a conversion to float32 can round down, relative (BOUNDS.md, *Products*).
const CONVERSION: f64 = 4.0 * UNIT;
/// Rows that the mean is made from.
const MEAN_ROWS: usize = 256;

/// The mean and the scale.
#[derive(Debug)]
pub struct Space {
    mean: Vec<f32>,
    scale: f32,
    columns: usize,
}

impl Space {
    /// Around the mean of some `targets`, which are finite.
    pub fn new(targets: &[f32], columns: usize) -> Self {
        let rows = targets.len() / columns;
        let chosen = || sample(rows, MEAN_ROWS).map(|row| &targets[row * columns..][..columns]);
        let mut mean: Vec<f64> = memory::zeros(columns);
        for row in chosen() {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
        }
        let count = chosen().count() as f64;
        for mean in &mut mean {
            *mean /= count;
        }
        let largest = chosen()
            .flat_map(|row| row.iter().zip(&mean))
            .fold(0.0f64, |most, (x, mean)| most.max((f64::from(*x) - mean).abs()));
        let mut scale = 1.0;
        if largest > 0.0 && !(2f64.powi(-16)..=2f64.powi(16)).contains(&largest) {
            scale = 2f64.powi((-largest.log2()).round().clamp(-126.0, 126.0) as i32);
        }
        Self {
            mean: memory::collected(mean.iter().map(|mean| (mean * scale) as f32)),
            scale: scale as f32,
            columns,
        }
    }

    /// Writes `row` as seen here and returns its squared length, not finite when it is too long.
    pub fn center(&self, simd: Simd, row: &[f32], out: &mut [f32]) -> f32 {
        center(simd, row, &self.mean, self.scale, out)
    }

    /// Relative error, in units of both squared lengths, of a squared distance got from [`Space::center`] and one product: of
    /// centering, the lengths, and the product with its addend (BOUNDS.md, *Products*).
    pub fn full_error(&self) -> f64 {
        SAFETY * (CENTERING + relative_error(self.columns) + 2.0 * rounding(self.columns))
    }

    /// The score a column must not exceed to be within `squared` of a row of squared length `norm`: scores are
    /// (1 − `error`)·|column|²/2 − row·column, and `error` is in units of both squared lengths.
    pub fn limit(&self, squared: f64, norm: f32, error: f64) -> f32 {
        let scaled = squared * f64::from(self.scale).powi(2);
        let limit = (scaled + UNDERFLOW - f64::from(norm) * (1.0 - error)) / 2.0;
        // Never infinite, as the score of padding is.
        ((limit + limit.abs() * CONVERSION + UNDERFLOW) as f32).min(f32::MAX)
    }
}
