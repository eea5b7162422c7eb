//! nearest against every pair looked at.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use pni_core::nearest::{Few, nearest_with};
use pni_fuzz::oracle::plain_nearest;
use pni_fuzz::{columns, every_way, matrix, view};

#[derive(Debug)]
struct Input {
    columns: usize,
    centers: Vec<f32>,
    features: Vec<f32>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let columns = columns(u)?;
        Ok(Self {
            columns,
            centers: matrix(u, columns, 150)?,
            features: matrix(u, columns, 90)?,
        })
    }
}

fuzz_target!(|input: Input| {
    let expected = plain_nearest(&input.features, &input.centers, input.columns);
    let features = view("features", &input.features, input.columns);
    let centers = view("centers", &input.centers, input.columns);
    every_way(|context| {
        for few in [Few::MEASURED, Few::NONE] {
            let found = nearest_with(&features, &centers, few, context).expect("finite values");
            assert_eq!(
                found, expected,
                "{}, {} threads, {few:?}",
                context.simd, context.threads
            );
        }
    });
});
