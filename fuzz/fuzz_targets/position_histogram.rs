//! position_histogram against labels counted one by one; labels and patches out of range are refused.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use pni_core::Error;
use pni_core::histogram::{Labels, position_histogram};
use pni_fuzz::every_way;
use pni_fuzz::oracle::plain_histogram;

#[derive(Debug)]
struct Input {
    shape: [usize; 3],
    classes: usize,
    patch: usize,
    values: Vec<i64>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let shape = [u.int_in_range(1..=4)?, u.int_in_range(1..=9)?, u.int_in_range(1..=9)?];
        let classes = u.int_in_range(1usize..=9)?;
        let patch = match u.int_in_range(0u8..=9)? {
            0 => *u.choose(&[0, 2, usize::MAX, usize::MAX - 1])?,
            _ => 2 * u.int_in_range(0usize..=10)? + 1,
        };
        let odd = u.ratio(1u8, 10u8)?;
        let values = (0..shape.iter().product())
            .map(|_| match odd {
                true => Ok(i64::from(i8::arbitrary(u)?)),
                false => u.int_in_range(0..=classes as i64 - 1),
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            shape,
            classes,
            patch,
            values,
        })
    }
}

fuzz_target!(|input: Input| {
    let [images, height, width] = input.shape;
    let labels = Labels {
        values: &input.values,
        images,
        height,
        width,
    };
    let good = input.patch % 2 == 1
        && input
            .values
            .iter()
            .all(|label| (0..input.classes as i64).contains(label));
    every_way(|context| {
        let found = position_histogram(&labels, input.classes, input.patch, context);
        if good {
            assert_eq!(found, Ok(plain_histogram(&labels, input.classes, input.patch)));
        } else {
            assert!(matches!(found, Err(Error::Invalid { .. })), "{found:?}");
        }
    });
});
