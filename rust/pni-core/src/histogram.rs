//! The position histogram p(c|x): how often each class occurs near each position (Algorithm 1 of the paper).

use crate::labels::check_below;
use crate::threads::Team;
use crate::{Context, Error, Result, memory};
use std::ops::Range;

/// Class labels of a stack of images, in C order.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a, T = i64> {
    /// `images`·`height`·`width` labels.
    pub values: &'a [T],
    /// Images in the stack.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
}

impl<T> Labels<'_, T> {
    /// Refuses an empty stack, values of another number than its sides say, and a window without a middle.
    pub(crate) fn check(&self, patch: usize) -> Result<()> {
        let Self {
            images, height, width, ..
        } = *self;
        if self.values.is_empty() || self.values.len() != images * height * width {
            let shape = format!("({images}, {height}, {width})");
            return Err(Error::invalid(
                "labels",
                "an array (images, height, width) with no empty side",
                shape,
            ));
        }
        if patch.is_multiple_of(2) {
            return Err(Error::invalid("patch", "an odd integer of at least 1", patch));
        }
        Ok(())
    }
}

/// The places of a line of `end` within the window of side `patch` around place `i`.
pub(crate) fn window(i: usize, patch: usize, end: usize) -> Range<usize> {
    let radius = patch / 2;
    i.saturating_sub(radius)..(i.saturating_add(radius + 1)).min(end)
}

/// For every position the share of each of `classes` among the labels of all images within the `patch`×`patch`
/// window around it, clipped at the border: `height`·`width`·`classes` values, each position summing to 1.
pub fn position_histogram(
    labels: &Labels<'_>,
    classes: usize,
    patch: usize,
    context: &Context<'_>,
) -> Result<Vec<f32>> {
    counted(labels, classes, patch, context, share)
}

/// The share that `count` labels are of `total`.
pub(crate) fn share(count: u32, total: f64) -> f32 {
    (f64::from(count) / total) as f32
}

/// For every position and class what `value` makes of the labels of that class in its window, and of all in it.
pub(crate) fn counted<T: memory::Zero + Send>(
    labels: &Labels<'_>,
    classes: usize,
    patch: usize,
    context: &Context<'_>,
    value: impl Fn(u32, f64) -> T + Sync,
) -> Result<Vec<T>> {
    let Labels {
        values,
        images,
        height,
        width,
    } = *labels;
    labels.check(patch)?;
    let size = height
        .checked_mul(width)
        .and_then(|positions| positions.checked_mul(classes));
    let Some(size) = size.filter(|size| *size <= isize::MAX as usize / size_of::<T>()) else {
        let allowed = format!("so few that {height} x {width} x n_classes values can be addressed");
        return Err(Error::invalid("n_classes", allowed, classes));
    };
    let window = |i, end| window(i, patch, end);
    memory::guarded(|| {
        Team::with(context, |team| {
            check_below("labels", "labels", values, classes, team)?;
            let mut found: Vec<T> = memory::zeros(size);
            team.each_chunk(&mut found, width * classes, |y, out| {
                let rows = window(y, height);
                // Counts of each column over the window's rows, then a sum over columns that moves along the row.
                let mut columns = memory::zeros::<u32>(width * classes);
                for image in 0..images {
                    for row in rows.clone() {
                        let start = (image * height + row) * width;
                        for (x, label) in values[start..start + width].iter().enumerate() {
                            columns[x * classes + *label as usize] += 1;
                        }
                    }
                }
                let mut counts = memory::zeros::<u32>(classes);
                let mut inside = 0..0;
                for (x, out) in out.chunks_exact_mut(classes).enumerate() {
                    let span = window(x, width);
                    for entering in inside.end..span.end {
                        let column = &columns[entering * classes..][..classes];
                        counts.iter_mut().zip(column).for_each(|(count, more)| *count += more);
                    }
                    for leaving in inside.start..span.start {
                        let column = &columns[leaving * classes..][..classes];
                        counts.iter_mut().zip(column).for_each(|(count, less)| *count -= less);
                    }
                    let total = (images * rows.len() * span.len()) as f64;
                    out.iter_mut()
                        .zip(&counts)
                        .for_each(|(out, count)| *out = value(*count, total));
                    inside = span;
                }
            })?;
            Ok(found)
        })
    })
}
