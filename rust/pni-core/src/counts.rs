//! Labels counted once within the window around every position, then changed by what is left out: without one
//! image of thousands nearly all counts stay as they are.

use crate::histogram::{Labels, counted, share, window};
use crate::labels::check_below;
use crate::threads::Team;
use crate::{Context, Error, Result, memory};

/// For every position how many of all images' labels within the `patch`×`patch` window around it, clipped at the
/// border, are of each of `classes`: `height`·`width`·`classes` counts.
pub fn window_counts(labels: &Labels<'_>, classes: usize, patch: usize, context: &Context<'_>) -> Result<Vec<u32>> {
    counted(labels, classes, patch, context, |count, _| count)
}

/// Labels that are taken from what was counted, or added to it.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Positions, row by row.
    pub places: &'a [i64],
    /// The class at each.
    pub classes: &'a [i64],
    /// By how much each changes the counts of all windows that hold it.
    pub by: &'a [i32],
}

/// What [`window_counts`] found.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// `height`·`width`·`classes` counts.
    pub counts: &'a [u32],
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Classes that were counted.
    pub classes: usize,
    /// Side of the window.
    pub patch: usize,
}

impl Counted<'_> {
    /// [`position_histogram`](crate::histogram::position_histogram) of the `images` that are left after the changes.
    pub fn histogram(&self, changes: &Changes<'_>, images: usize, context: &Context<'_>) -> Result<Vec<f32>> {
        self.changed(changes, images, self.classes, context, |counts, total, out| {
            for (out, count) in out.iter_mut().zip(counts) {
                *out = share(*count, total);
            }
        })
    }

    /// Where [`Self::histogram`] is above `tau`, as bits: ⌈`classes`/8⌉ bytes a position, lowest bit first.
    pub fn sets(&self, changes: &Changes<'_>, images: usize, tau: f32, context: &Context<'_>) -> Result<Vec<u8>> {
        if !(0.0..=1.0).contains(&tau) {
            return Err(Error::invalid("tau", "a share from 0 to 1", tau));
        }
        let bytes = self.classes.div_ceil(8);
        self.changed(changes, images, bytes, context, |counts, total, out| {
            let most = highest_below(tau, total);
            for (out, counts) in out.iter_mut().zip(counts.chunks(8)) {
                *out = counts
                    .iter()
                    .enumerate()
                    .fold(0, |bits, (bit, count)| bits | u8::from(*count > most) << bit);
            }
        })
    }

    /// Hands the changed counts of every position, and the labels in its window, to `write`, with its `size` items.
    fn changed<T: memory::Zero + Send>(
        &self,
        changes: &Changes<'_>,
        images: usize,
        size: usize,
        context: &Context<'_>,
        write: impl Fn(&[u32], f64, &mut [T]) + Sync,
    ) -> Result<Vec<T>> {
        let Self {
            counts,
            height,
            width,
            classes,
            patch,
        } = *self;
        let area = height * width;
        if area == 0 || classes == 0 || counts.len() != area * classes {
            let shape = format!("({height}, {width}, {classes})");
            return Err(Error::invalid(
                "counts",
                "an array (height, width, classes) with no empty side",
                shape,
            ));
        }
        if patch.is_multiple_of(2) {
            return Err(Error::invalid("patch", "an odd integer of at least 1", patch));
        }
        if changes.places.len() != changes.classes.len() || changes.places.len() != changes.by.len() {
            let found = format!(
                "{}, {} and {}",
                changes.places.len(),
                changes.classes.len(),
                changes.by.len()
            );
            return Err(Error::invalid("changes", "a place, a class and a number each", found));
        }
        memory::guarded(|| {
            Team::with(context, |team| {
                check_below("places", "positions", changes.places, area, team)?;
                check_below("classes", "classes", changes.classes, classes, team)?;
                let (starts, order) = by_place(changes.places, area);
                let mut out: Vec<T> = memory::zeros(area * size);
                team.each_chunk(&mut out, width * size, |y, out| {
                    let mut here = memory::zeros::<u32>(classes);
                    let rows = window(y, patch, height);
                    for (x, out) in out.chunks_exact_mut(size).enumerate() {
                        let columns = window(x, patch, width);
                        here.copy_from_slice(&counts[(y * width + x) * classes..][..classes]);
                        for row in rows.clone() {
                            // Changes of one row's neighboring places lie side by side.
                            let part = starts[row * width + columns.start]..starts[row * width + columns.end];
                            for change in &order[part] {
                                let class = changes.classes[*change] as usize;
                                here[class] = here[class].wrapping_add_signed(changes.by[*change]);
                            }
                        }
                        write(&here, (images * rows.len() * columns.len()) as f64, out);
                    }
                })?;
                Ok(out)
            })
        })
    }
}

/// The numbers of the changes ordered by place, and where those of each place start.
fn by_place(places: &[i64], area: usize) -> (Vec<usize>, Vec<usize>) {
    let mut starts = memory::zeros::<usize>(area + 1);
    for place in places {
        starts[*place as usize + 1] += 1;
    }
    for place in 0..area {
        starts[place + 1] += starts[place];
    }
    let mut next = starts.clone();
    let mut order = memory::zeros::<usize>(places.len());
    for (change, place) in places.iter().enumerate() {
        order[next[*place as usize]] = change;
        next[*place as usize] += 1;
    }
    (starts, order)
}

/// The highest count of which the share is not above `tau`.
fn highest_below(tau: f32, total: f64) -> u32 {
    let mut most = (f64::from(tau) * total) as u32;
    while most < u32::MAX && share(most + 1, total) <= tau {
        most += 1;
    }
    while most > 0 && share(most, total) > tau {
        most -= 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_count_below_is_found_wherever_shares_round_to() {
        for total in [1.0, 3.0, 81.0, 3_888.0, 16_777_217.0, 4_294_967_295.0] {
            for tau in [0.0, f32::MIN_POSITIVE, 1e-9, 1.0 / 3932.0, 1.0 / 3.0, 0.5, 1.0] {
                let most = highest_below(tau, total);
                assert!(share(most, total) <= tau);
                assert!(most == u32::MAX || share(most + 1, total) > tau);
            }
        }
    }
}
