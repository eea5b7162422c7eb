//! Which classes occur near each position of some of the images: where p(c|x, these images) is not zero.

use crate::histogram::{Labels, window};
use crate::threads::Team;
use crate::{Context, Error, Result, memory};

/// For every position the classes that one of the `chosen` images has within the `patch`×`patch` window around it,
/// clipped at the border, as bits: `height`·`width` rows of ⌈`classes`/8⌉ bytes, lowest bit first.
pub fn position_sets(
    labels: &Labels<'_, u16>,
    chosen: &[i64],
    classes: usize,
    patch: usize,
    context: &Context<'_>,
) -> Result<Vec<u8>> {
    labels.check(patch)?;
    let Labels {
        values,
        images,
        height,
        width,
    } = *labels;
    let outside = |image: &&i64| usize::try_from(**image).map_or(true, |image| image >= images);
    if let Some(image) = chosen.iter().find(outside) {
        return Err(Error::invalid(
            "images",
            format!("numbers from 0 to {}", images - 1),
            image,
        ));
    }
    let area = height * width;
    for image in chosen {
        let start = *image as usize * area;
        if let Some(label) = values[start..start + area]
            .iter()
            .find(|label| usize::from(**label) >= classes)
        {
            return Err(Error::invalid(
                "labels",
                format!("labels from 0 to {}", classes as i64 - 1),
                label,
            ));
        }
    }
    let bytes = classes.div_ceil(8);
    let Some(size) = area.checked_mul(bytes).filter(|size| isize::try_from(*size).is_ok()) else {
        return Err(Error::invalid(
            "n_classes",
            "so few that the bits can be addressed",
            classes,
        ));
    };
    let window = |i, end| window(i, patch, end);
    memory::guarded(|| {
        Team::with(context, |team| {
            let mut sets: Vec<u8> = memory::zeros(size);
            team.each_chunk(&mut sets, width * bytes, |y, out| {
                // The sets of each column over the window's rows, then their unions along the row.
                let mut columns = memory::zeros::<u8>(width * bytes);
                for image in chosen {
                    for row in window(y, height) {
                        let start = (*image as usize * height + row) * width;
                        for (column, label) in columns.chunks_exact_mut(bytes).zip(&values[start..start + width]) {
                            column[usize::from(label / 8)] |= 1 << (label % 8);
                        }
                    }
                }
                for (x, out) in out.chunks_exact_mut(bytes).enumerate() {
                    for column in columns
                        .chunks_exact(bytes)
                        .take(window(x, width).end)
                        .skip(window(x, width).start)
                    {
                        out.iter_mut().zip(column).for_each(|(out, more)| *out |= more);
                    }
                }
            })?;
            Ok(sets)
        })
    })
}
