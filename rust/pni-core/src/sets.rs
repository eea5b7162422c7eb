//! Which classes occur near each position of some of the images: where p(c|x, these images) is not zero.

use crate::threads::Team;
use crate::{Context, Error, Result, memory};

/// Class labels of a stack of images, in C order, as a model keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// `images`·`height`·`width` labels.
    pub values: &'a [u16],
    /// Images in the stack.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
}

/// For every position the classes that one of the `chosen` images has within the `patch`×`patch` window around it,
/// clipped at the border, as bits: `height`·`width` rows of ⌈`classes`/8⌉ bytes, lowest bit first.
pub fn position_sets(
    labels: &Stack<'_>,
    chosen: &[i64],
    classes: usize,
    patch: usize,
    context: &Context<'_>,
) -> Result<Vec<u8>> {
    let Stack {
        values,
        images,
        height,
        width,
    } = *labels;
    if values.is_empty() || values.len() != images * height * width {
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
    let radius = patch / 2;
    let window = |i: usize, end: usize| i.saturating_sub(radius)..(i.saturating_add(radius + 1)).min(end);
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
